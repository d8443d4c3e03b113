package vault

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/tokenizer"
)

// maxDraws bounds how often a token that is taken is drawn again. Even where one
// in two digit tokens of a PAN's length is taken, 64 draws fail once in 10^19.
const maxDraws = 64

// insertTokens draws the extra tokens that issued and tokenized cards were asked
// for.
func insertTokens(ctx context.Context, tx Tx, changes []*change) error {
	waiting, sharing := drawing(changes)
	for range maxDraws {
		if len(waiting) == 0 {
			for c, first := range sharing {
				c.out.token = first.out.token
			}
			return nil
		}
		var err error
		if waiting, err = drawTokens(ctx, tx, waiting); err != nil {
			return err
		}
	}
	return errNoFreeToken
}

// drawing returns the changes that need a token, and with them those who share
// theirs: of several that ask for the one plain token of a card the first draws it.
func drawing(changes []*change) (waiting []*change, sharing map[*change]*change) {
	type kind struct {
		card         uuid.UUID
		keepLastFour bool
	}
	first := map[kind]*change{}
	sharing = map[*change]*change{}
	for _, c := range changes {
		if c.out.draw == nil || !c.open() {
			continue
		}
		if c.wantsPlain() {
			k := kind{c.out.card.ID, c.tokenize.keepLastFour}
			if earlier, ok := first[k]; ok {
				sharing[c] = earlier
				continue
			}
			first[k] = c
		}
		waiting = append(waiting, c)
	}
	return waiting, sharing
}

// drawTokens draws a token for each change, inserts them, and returns the changes
// whose token was taken.
func drawTokens(ctx context.Context, tx Tx, waiting []*change) ([]*change, error) {
	var again []*change
	byToken := map[tokenizer.ID]*change{}
	rows := make([]TokenRow, 0, len(waiting))
	for _, c := range waiting {
		row, err := c.out.draw(c.out.card)
		if err != nil {
			return nil, err
		}
		if _, ok := byToken[row.Token]; ok {
			again = append(again, c) // two drew the same
			continue
		}
		c.out.token, byToken[row.Token] = row.Token, c
		rows = append(rows, row)
	}
	taken, err := tx.InsertTokens(ctx, tenantOf(waiting), rows)
	for _, token := range taken {
		again = append(again, byToken[token])
	}
	return again, err
}

var errNoFreeToken = errors.New("no free token after many draws")
