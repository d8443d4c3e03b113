package vault

import (
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
	// tag returns the tag that a token of the card has.
	tag func(t TokenRow) int64
	// wanted is the standing token to give to a card that has none; zero where the
	// caller asks for a token of its own, made by draw.
	wanted tokenizer.ID
	draw   func(card CardRow) (TokenRow, error)
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
		if row, err = tx.SetStandingToken(ctx, c.tenant, row.ID, t.wanted, t.standingTag(row, t.wanted)); err != nil {
			return CardRow{}, standingLost(err)
		}
		c.out.existing = true
	default:
		c.out.existing = true
	}
	c.settleCard(row)
	if t.draw == nil && row.StandingTag != t.standingTag(row, row.StandingToken) {
		c.out.refused, c.out.altered = ErrIntegrity, true
	}
	return row, nil
}

// standingTag returns the tag of a card's standing token.
func (t *tokenizing) standingTag(card CardRow, token tokenizer.ID) int64 {
	return t.tag(TokenRow{Token: token, Standing: true, Card: card})
}

// standingLost asks for another round where the card went away meanwhile.
func standingLost(err error) error {
	if errors.Is(err, ErrNoRow) {
		return errAgain
	}
	return err
}

// reusePlain finds, for the changes whose card stood there before and who ask for
// an extra token without conditions, the one that was made the last time.
func reusePlain(ctx context.Context, tx Tx, waiting []*change) error {
	waiting = slices.DeleteFunc(slices.Clone(waiting), func(c *change) bool { return !c.out.existing || !c.wantsPlain() })
	if len(waiting) == 0 {
		return nil
	}
	cards := make([]uuid.UUID, len(waiting))
	for i, c := range waiting {
		cards[i] = c.out.card.ID
	}
	tokens, err := tx.PlainTokens(ctx, tenantOf(waiting), cards)
	if err != nil {
		return err
	}
	for _, c := range waiting {
		c.reuse(tokens)
	}
	return nil
}

// wantsPlain reports whether the change asks for an extra token that tokenizing
// again returns again.
func (c *change) wantsPlain() bool {
	return c.tokenize != nil && c.tokenize.plain && c.out.draw != nil && c.open()
}

// reuse gives the change the first of the tokens that is of its card and kind.
func (c *change) reuse(tokens []TokenRow) {
	for _, t := range tokens {
		if t.Card.ID != c.out.card.ID || t.KeepLastFour != c.tokenize.keepLastFour {
			continue
		}
		c.out.token, c.out.draw = t.Token, nil
		if t.Tag != c.tokenize.tag(t) {
			c.out.refused, c.out.altered = ErrIntegrity, true
		}
		return
	}
}
