package main

import (
	"context"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

func detokenizeCommand() *cobra.Command {
	c := &connection{}
	var purpose, view string
	cmd := &cobra.Command{
		Use:   "detokenize TOKEN",
		Short: "Get as much of a token's PAN as the view says, for a purpose",
		Long: `Get as much of a token's PAN as the view says, for a purpose that policy allows the
caller. With --view full this is the one command that prints a PAN.`,
		Example: `  cardvault detokenize tok_… --purpose support --view last-four --as support
  cardvault detokenize tok_… --purpose settlement --view full --as payments --output json`,
		Args: cobra.ExactArgs(1),
		RunE: c.run(func(ctx context.Context, s *session, args []string) error {
			wanted, err := parseView(view)
			if err != nil {
				return err
			}
			answer, err := s.cards().DetokenizeCard(ctx, &cardvaultv1.DetokenizeCardRequest{
				Token: args[0], Purpose: purpose, View: wanted,
			})
			if err != nil {
				return err
			}
			return s.out.show(answer, table.Row{"NUMBER", "EXPIRY", "CARD", "AUDIT ENTRY"},
				table.Row{number(answer), month(answer.GetExpiry()), answer.GetCardId(), place(answer.GetReceipt())})
		}),
	}
	c.register(cmd)
	cmd.Flags().StringVar(&purpose, "purpose", "", "why the PAN is needed, as policy names it")
	cmd.Flags().StringVar(&view, "view", "", "last-four, masked or full")
	return cmd
}

// parseView reads a view by name. None at all is for the server to refuse, and to
// record.
func parseView(name string) (cardvaultv1.View, error) {
	switch name {
	case "":
		return cardvaultv1.View_VIEW_UNSPECIFIED, nil
	case "last-four":
		return cardvaultv1.View_VIEW_LAST_FOUR, nil
	case "masked":
		return cardvaultv1.View_VIEW_MASKED, nil
	case "full":
		return cardvaultv1.View_VIEW_FULL, nil
	default:
		return 0, usage("give --view last-four, masked or full", "--view: unknown")
	}
}

// number is what the answer shows of the PAN.
func number(answer *cardvaultv1.DetokenizeCardResponse) string {
	switch shown := answer.GetNumber().(type) {
	case *cardvaultv1.DetokenizeCardResponse_Pan:
		return shown.Pan
	case *cardvaultv1.DetokenizeCardResponse_MaskedPan:
		return shown.MaskedPan
	case *cardvaultv1.DetokenizeCardResponse_LastFour:
		return shown.LastFour
	default:
		return ""
	}
}
