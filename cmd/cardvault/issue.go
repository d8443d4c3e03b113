package main

import (
	"context"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

func cardIssue(c *connection) *cobra.Command {
	var (
		w       write
		options tokenFlags
		expires string
		from    string
	)
	cmd := &cobra.Command{
		Use:   "issue",
		Short: "Issue a card: a new PAN from a BIN range, and its token",
		Example: `  cardvault card issue --bin demo --as issuer
  cardvault card issue --bin demo --expiry 2030-12 --as issuer --output json`,
		Args: cobra.NoArgs,
		RunE: c.run(func(ctx context.Context, s *session, _ []string) error {
			expiry, err := parseExpiry(expires)
			if err != nil {
				return err
			}
			wanted, err := options.message()
			if err != nil {
				return err
			}
			answer, err := s.cards().IssueCard(ctx, &cardvaultv1.IssueCardRequest{
				RequestId: w.id(), BinRange: from, Expiry: expiry, Token: wanted,
			})
			if err != nil {
				return w.hint(err)
			}
			return s.out.show(answer, newCardHeader(), newCardRow(answer.GetToken(), answer.GetCard()))
		}),
	}
	w.register(cmd)
	options.register(cmd)
	cmd.Flags().StringVar(&from, "bin", "", "id of the BIN range")
	cmd.Flags().StringVar(&expires, "expiry", "", "YYYY-MM or MM/YY (default: after the range's rule)")
	_ = cmd.MarkFlagRequired("bin")
	return cmd
}

func newCardHeader() table.Row { return append(table.Row{"TOKEN"}, cardHeader()...) }

func newCardRow(token string, c *cardvaultv1.Card) table.Row {
	return append(table.Row{token}, cardRow(c)...)
}
