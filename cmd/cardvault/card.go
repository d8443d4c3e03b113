package main

import (
	"context"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

func cardCommand() *cobra.Command {
	c := &connection{}
	cmd := &cobra.Command{
		Use:   "card",
		Short: "Issue cards, take PANs in, and change the life of cards",
	}
	c.register(cmd)
	cmd.AddCommand(cardIssue(c), cardTokenize(c), cardImport(c), cardGet(c), cardList(c),
		cardSuspend(c), cardResume(c), cardClose(c), cardRenew(c), cardDelete(c))
	return cmd
}

func cardGet(c *connection) *cobra.Command {
	return &cobra.Command{
		Use:     "get CARD",
		Short:   "Show a card by its id",
		Example: "  cardvault card get 6f1c0f0e-7f0a-4f5e-9b0e-2a6f6f0b8f1d --as issuer",
		Args:    cobra.ExactArgs(1),
		RunE: c.run(func(ctx context.Context, s *session, args []string) error {
			answer, err := s.cards().GetCard(ctx, &cardvaultv1.GetCardRequest{Id: args[0]})
			if err != nil {
				return err
			}
			return s.out.show(answer, cardHeader(), cardRow(answer.GetCard()))
		}),
	}
}

func cardList(c *connection) *cobra.Command {
	var p page
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the tenant's cards in order of id, a page at a time",
		Example: `  cardvault card list --as issuer
  cardvault card list --page-size 1000 --as issuer --output json | jq -r '.cards[].id'`,
		Args: cobra.NoArgs,
		RunE: c.run(func(ctx context.Context, s *session, _ []string) error {
			answer, err := s.cards().ListCards(ctx, &cardvaultv1.ListCardsRequest{PageSize: p.size, PageToken: p.token})
			if err != nil {
				return err
			}
			rows := make([]table.Row, 0, len(answer.GetCards()))
			for _, card := range answer.GetCards() {
				rows = append(rows, cardRow(card))
			}
			if err := s.out.show(answer, cardHeader(), rows...); err != nil {
				return err
			}
			return s.out.more(answer.GetNextPageToken())
		}),
	}
	p.register(cmd)
	return cmd
}

func cardSuspend(c *connection) *cobra.Command {
	return cardChange(c, "suspend", "Stop a card: its PAN stays inside until it is resumed",
		func(ctx context.Context, cards cardvaultv1.CardServiceClient, requestID, id string) (cardAnswer, error) {
			return cards.SuspendCard(ctx, &cardvaultv1.SuspendCardRequest{RequestId: requestID, Id: id})
		})
}

func cardResume(c *connection) *cobra.Command {
	return cardChange(c, "resume", "Make a suspended card active",
		func(ctx context.Context, cards cardvaultv1.CardServiceClient, requestID, id string) (cardAnswer, error) {
			return cards.ResumeCard(ctx, &cardvaultv1.ResumeCardRequest{RequestId: requestID, Id: id})
		})
}

func cardClose(c *connection) *cobra.Command {
	return cardChange(c, "close", "End a card for good; its PAN is never issued again",
		func(ctx context.Context, cards cardvaultv1.CardServiceClient, requestID, id string) (cardAnswer, error) {
			return cards.CloseCard(ctx, &cardvaultv1.CloseCardRequest{RequestId: requestID, Id: id})
		})
}

func cardRenew(c *connection) *cobra.Command {
	var expires string
	cmd := cardChange(c, "renew", "Give a card a later expiry; its PAN stays",
		func(ctx context.Context, cards cardvaultv1.CardServiceClient, requestID, id string) (cardAnswer, error) {
			expiry, err := parseExpiry(expires)
			if err != nil {
				return nil, err
			}
			return cards.RenewCard(ctx, &cardvaultv1.RenewCardRequest{RequestId: requestID, Id: id, Expiry: expiry})
		})
	cmd.Flags().StringVar(&expires, "expiry", "", "YYYY-MM or MM/YY (default: after the rule of the card's range)")
	return cmd
}

// cardAnswer is an answer that shows one card.
type cardAnswer interface {
	proto.Message
	GetCard() *cardvaultv1.Card
}

// cardChange is a verb that changes one card.
func cardChange(
	c *connection, verb, short string,
	change func(ctx context.Context, cards cardvaultv1.CardServiceClient, requestID, id string) (cardAnswer, error),
) *cobra.Command {
	var w write
	cmd := &cobra.Command{
		Use:     verb + " CARD",
		Short:   short,
		Example: "  cardvault card " + verb + " 6f1c0f0e-7f0a-4f5e-9b0e-2a6f6f0b8f1d --as issuer",
		Args:    cobra.ExactArgs(1),
		RunE: c.run(func(ctx context.Context, s *session, args []string) error {
			answer, err := change(ctx, s.cards(), w.id(), args[0])
			if err != nil {
				return w.hint(err)
			}
			return s.out.show(answer, cardHeader(), cardRow(answer.GetCard()))
		}),
	}
	w.register(cmd)
	return cmd
}

func cardDelete(c *connection) *cobra.Command {
	var w write
	cmd := &cobra.Command{
		Use:     "delete CARD",
		Short:   "Remove a card's ciphertext and tokens for good; its PAN is never issued again",
		Example: "  cardvault card delete 6f1c0f0e-7f0a-4f5e-9b0e-2a6f6f0b8f1d --as issuer",
		Args:    cobra.ExactArgs(1),
		RunE: c.run(func(ctx context.Context, s *session, args []string) error {
			answer, err := s.cards().DeleteCard(ctx, &cardvaultv1.DeleteCardRequest{RequestId: w.id(), Id: args[0]})
			if err != nil {
				return w.hint(err)
			}
			return s.out.show(answer, receiptHeader(), receiptRow("deleted", answer.GetReceipt()))
		}),
	}
	w.register(cmd)
	return cmd
}

// page is which part of a listing is asked for.
type page struct {
	size  int32
	token string
}

func (p *page) register(cmd *cobra.Command) {
	cmd.Flags().Int32Var(&p.size, "page-size", 0, "1 to 1000 (default 100)")
	cmd.Flags().StringVar(&p.token, "page-token", "", "what the page before printed")
}

func cardHeader() table.Row {
	return table.Row{"CARD", "LAST FOUR", "EXPIRY", "STATE", "ORIGIN", "BIN RANGE", "CREATED"}
}

func cardRow(c *cardvaultv1.Card) table.Row {
	return table.Row{
		c.GetId(), c.GetLastFour(), month(c.GetExpiry()), word(c.GetState(), "STATE_"),
		word(c.GetOrigin(), "ORIGIN_"), c.GetBinRange(), instant(c.GetCreateTime()),
	}
}

func receiptHeader() table.Row { return table.Row{"RESULT", "AUDIT ENTRY"} }

func receiptRow(result string, r *cardvaultv1.Receipt) table.Row {
	return table.Row{result, place(r)}
}
