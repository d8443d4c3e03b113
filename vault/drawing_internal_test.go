package vault

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/tokenizer"
)

// insertedTokens is a Tx that keeps what is inserted. No token is taken.
type insertedTokens struct {
	Tx

	byCard map[uuid.UUID][]tokenizer.ID
}

func (t insertedTokens) InsertTokens(_ context.Context, _ string, rows []TokenRow) ([]tokenizer.ID, error) {
	for _, row := range rows {
		t.byCard[row.Card.ID] = append(t.byCard[row.Card.ID], row.Token)
	}
	return nil, nil
}

// TestTwoCardsDrawOneToken: of two cards that draw the same token in one commit one
// draws again, and neither gets a token that nobody is told of.
func TestTwoCardsDrawOneToken(t *testing.T) {
	tx := insertedTokens{byCard: map[uuid.UUID][]tokenizer.ID{}}
	same := tokenizer.NewOpaque().ID()
	var changes []*change
	for range 2 {
		draws := 0
		c := &change{card: CardRow{ID: uuid.New()}, draw: func(card CardRow) (TokenRow, error) {
			draws++
			if draws == 1 {
				return TokenRow{Token: same, Card: card}, nil
			}
			return TokenRow{Token: tokenizer.NewOpaque().ID(), Card: card}, nil
		}}
		c.begin()
		changes = append(changes, c)
	}
	if err := insertTokens(t.Context(), tx, changes); err != nil {
		t.Fatal(err)
	}
	if changes[0].out.token != same || changes[1].out.token == same {
		t.Error("the cards have one token")
	}
	for _, c := range changes {
		if got := tx.byCard[c.card.ID]; len(got) != 1 || got[0] != c.out.token {
			t.Errorf("inserted %d tokens for one answer", len(got))
		}
	}
}
