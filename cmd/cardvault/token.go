package main

import (
	"context"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

func tokenCommand() *cobra.Command {
	c := &connection{}
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Give a card more tokens, list them, take them away",
	}
	c.register(cmd)
	cmd.AddCommand(tokenCreate(c), tokenList(c), tokenRevoke(c))
	return cmd
}

func tokenCreate(c *connection) *cobra.Command {
	var (
		w       write
		options tokenFlags
	)
	cmd := &cobra.Command{
		Use:   "create CARD",
		Short: "Make a further token for a card",
		Example: `  cardvault token create 6f1c0f0e-7f0a-4f5e-9b0e-2a6f6f0b8f1d --single-use --ttl 15m --as issuer
  cardvault token create 6f1c0f0e-7f0a-4f5e-9b0e-2a6f6f0b8f1d --format digits --keep-last-four --principal payments --as issuer`,
		Args: cobra.ExactArgs(1),
		RunE: c.run(func(ctx context.Context, s *session, args []string) error {
			wanted, err := options.message()
			if err != nil {
				return err
			}
			answer, err := s.tokens().CreateToken(ctx, &cardvaultv1.CreateTokenRequest{
				RequestId: w.id(), CardId: args[0], Options: wanted,
			})
			if err != nil {
				return w.hint(err)
			}
			return s.out.show(answer, tokenHeader(), tokenRow(answer.GetToken()))
		}),
	}
	w.register(cmd)
	options.register(cmd)
	return cmd
}

func tokenList(c *connection) *cobra.Command {
	return &cobra.Command{
		Use:     "list CARD",
		Short:   "Show the tokens of a card",
		Example: "  cardvault token list 6f1c0f0e-7f0a-4f5e-9b0e-2a6f6f0b8f1d --as issuer",
		Args:    cobra.ExactArgs(1),
		RunE: c.run(func(ctx context.Context, s *session, args []string) error {
			answer, err := s.tokens().ListTokens(ctx, &cardvaultv1.ListTokensRequest{CardId: args[0]})
			if err != nil {
				return err
			}
			rows := make([]table.Row, 0, len(answer.GetTokens()))
			for _, token := range answer.GetTokens() {
				rows = append(rows, tokenRow(token))
			}
			return s.out.show(answer, tokenHeader(), rows...)
		}),
	}
}

func tokenRevoke(c *connection) *cobra.Command {
	var w write
	cmd := &cobra.Command{
		Use:     "revoke TOKEN",
		Short:   "End a token at once, on every replica",
		Example: "  cardvault token revoke tok_… --as issuer",
		Args:    cobra.ExactArgs(1),
		RunE: c.run(func(ctx context.Context, s *session, args []string) error {
			answer, err := s.tokens().RevokeToken(ctx, &cardvaultv1.RevokeTokenRequest{RequestId: w.id(), Token: args[0]})
			if err != nil {
				return w.hint(err)
			}
			return s.out.show(answer, receiptHeader(), receiptRow("revoked", answer.GetReceipt()))
		}),
	}
	w.register(cmd)
	return cmd
}

// tokenFlags are the options of a token.
type tokenFlags struct {
	format       string
	keepLastFour bool
	ttl          time.Duration
	singleUse    bool
	principals   []string
	// hasTTL: a --ttl of 0 is sent, and refused, instead of meaning none.
	hasTTL func() bool
}

func (t *tokenFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	t.hasTTL = func() bool { return flags.Changed("ttl") }
	flags.StringVar(&t.format, "format", "", "opaque (default) or digits: as many digits as the PAN, never a valid one")
	flags.BoolVar(&t.keepLastFour, "keep-last-four", false, "with --format digits: end in the PAN's last four")
	flags.DurationVar(&t.ttl, "ttl", 0, "how long the token works (default: until revoked)")
	flags.BoolVar(&t.singleUse, "single-use", false, "the first detokenize uses it up")
	flags.StringArrayVar(&t.principals, "principal", nil, "name of a principal that alone may detokenize it; can be given again")
}

// message returns the options, nil where there are none: the standing token.
func (t *tokenFlags) message() (*cardvaultv1.TokenOptions, error) {
	if t.format == "" && !t.keepLastFour && !t.hasTTL() && !t.singleUse && len(t.principals) == 0 {
		return nil, nil //nolint:nilnil // absent is a value of its own on the wire
	}
	options := &cardvaultv1.TokenOptions{KeepLastFour: t.keepLastFour, SingleUse: t.singleUse, Principals: t.principals}
	if t.hasTTL() {
		options.Ttl = durationpb.New(t.ttl)
	}
	switch t.format {
	case "":
	case "opaque":
		options.Format = cardvaultv1.TokenFormat_TOKEN_FORMAT_OPAQUE
	case "digits":
		options.Format = cardvaultv1.TokenFormat_TOKEN_FORMAT_DIGITS
	default:
		return nil, usage("give --format opaque or --format digits", "--format: unknown")
	}
	return options, nil
}

func tokenHeader() table.Row {
	return table.Row{"TOKEN", "CARD", "FORMAT", "EXPIRES", "SINGLE USE", "USED", "PRINCIPALS", "CREATED"}
}

func tokenRow(t *cardvaultv1.Token) table.Row {
	options := t.GetOptions()
	return table.Row{
		t.GetToken(), t.GetCardId(), word(options.GetFormat(), "TOKEN_FORMAT_"), instant(t.GetExpireTime()),
		yes(options.GetSingleUse()), yes(t.GetUsed()), strings.Join(options.GetPrincipals(), " "), instant(t.GetCreateTime()),
	}
}
