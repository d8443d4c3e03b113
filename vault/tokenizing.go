package vault

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/tokenizer"
)

// tokenizing is a PAN from elsewhere to be kept, once for a tenant.
type tokenizing struct {
	// fresh is the card if the PAN is new.
	fresh CardRow
	// reseal makes it the card of a tombstone: sealed for the tombstone's id.
	reseal func(id uuid.UUID) (CardRow, error)
	// standing makes a standing token's tag for a card that stood there before.
	standing func(card uuid.UUID, token tokenizer.ID) int64
	// wanted is the standing token to give to a card that has none; zero where the
	// caller asks for a token of its own, made by draw.
	wanted tokenizer.ID
	draw   func(card uuid.UUID) (TokenRow, error)
	// plain and keepLastFour say which token of draw's kind can be returned again.
	plain, keepLastFour bool
}

// tokenizeCards inserts the cards whose PAN is new and finds the others.
func tokenizeCards(ctx context.Context, tx Tx, changes []*change) error {
	waiting := tokenizingOf(changes)
	rows := make([]CardRow, len(waiting))
	for i, c := range waiting {
		rows[i] = c.tokenize.fresh
	}
	// One order on all replicas, so that two that insert the same PANs do not lock
	// each other out.
	slices.SortStableFunc(rows, func(a, b CardRow) int { return bytes.Compare(a.Fingerprint[:], b.Fingerprint[:]) })
	taken, err := tx.InsertCards(ctx, tenantOf(changes), rows)
	if err != nil {
		return err
	}
	stood := map[uuid.UUID]CardRow{}
	for _, row := range taken {
		stood[row.Fingerprint] = row
	}
	for _, c := range waiting {
		row, ok := stood[c.tokenize.fresh.Fingerprint]
		if !ok || row.ID == c.tokenize.fresh.ID {
			c.settleCard(c.tokenize.fresh)
			continue
		}
		if row, err = c.adopt(ctx, tx, row); err != nil {
			return err
		}
		stood[row.Fingerprint] = row
	}
	return reusePlain(ctx, tx, waiting)
}

func tokenizingOf(changes []*change) []*change {
	var waiting []*change
	for _, c := range changes {
		if c.tokenize != nil && c.open() {
			waiting = append(waiting, c)
		}
	}
	return waiting
}

// settleCard makes row the change's card, with its standing token or one to be
// drawn.
func (c *change) settleCard(row CardRow) {
	c.out.card, c.out.draw = row, c.tokenize.draw
	if c.tokenize.draw == nil {
		c.out.token = row.StandingToken
	}
}

// adopt makes a card that stood there before the change's card. A tombstone comes
// to life under its old id, with new tokens only.
func (c *change) adopt(ctx context.Context, tx Tx, row CardRow) (CardRow, error) {
	t := c.tokenize
	switch {
	case row.State == CardDeleted:
		fresh, err := t.reseal(row.ID)
		if err != nil {
			return CardRow{}, err
		}
		fresh.Origin, fresh.RangeNumber, fresh.BINRange = row.Origin, row.RangeNumber, row.BINRange
		ok, err := tx.ReviveCard(ctx, c.tenant, fresh)
		if err != nil {
			return CardRow{}, err
		}
		if !ok {
			return CardRow{}, errAgain // another replica was first: find its card
		}
		row = fresh
	case t.draw == nil && row.StandingToken == tokenizer.ID{}:
		var err error
		if row, err = tx.SetStandingToken(ctx, c.tenant, row.ID, t.wanted, t.standing(row.ID, t.wanted)); err != nil {
			return CardRow{}, standingLost(err)
		}
		c.out.existing = true
	default:
		c.out.existing = true
	}
	c.settleCard(row)
	return row, nil
}

// standingLost asks for another round where the card went away meanwhile.
func standingLost(err error) error {
	if errors.Is(err, ErrNoRow) {
		return errAgain
	}
	return err
}

// reusePlain finds, for the changes whose card stood there before and who ask for
// a token without conditions, the one that was made the last time.
func reusePlain(ctx context.Context, tx Tx, waiting []*change) error {
	var cards []uuid.UUID
	for _, c := range waiting {
		if c.out.existing && c.tokenize.plain && c.tokenize.draw != nil {
			cards = append(cards, c.out.card.ID)
		}
	}
	if len(cards) == 0 {
		return nil
	}
	tokens, err := tx.PlainTokens(ctx, tenantOf(waiting), cards)
	if err != nil {
		return err
	}
	for _, c := range waiting {
		for _, t := range tokens {
			if c.out.existing && c.tokenize.plain && t.Card.ID == c.out.card.ID && t.KeepLastFour == c.tokenize.keepLastFour {
				c.out.token, c.out.draw = t.Token, nil
				break
			}
		}
	}
	return nil
}

// maxDraws bounds how often a token that is taken is drawn again. Even where one
// in two digit tokens of a PAN's length is taken, 64 draws fail once in 10^19.
const maxDraws = 64

// insertTokens draws the extra tokens that issued and tokenized cards were asked
// for.
func insertTokens(ctx context.Context, tx Tx, changes []*change) error {
	var waiting []*change
	for _, c := range changes {
		if c.out.draw != nil && c.open() {
			waiting = append(waiting, c)
		}
	}
	for range maxDraws {
		if len(waiting) == 0 {
			return nil
		}
		rows := make([]TokenRow, len(waiting))
		for i, c := range waiting {
			var err error
			if rows[i], err = c.out.draw(c.out.card.ID); err != nil {
				return err
			}
			c.out.token = rows[i].Token
		}
		taken, err := tx.InsertTokens(ctx, tenantOf(changes), rows)
		if err != nil {
			return err
		}
		waiting = slices.DeleteFunc(waiting, func(c *change) bool { return !slices.Contains(taken, c.out.token) })
	}
	return errNoFreeToken
}

var errNoFreeToken = errors.New("no free token after many draws")
