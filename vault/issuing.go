package vault

import (
	"context"

	"github.com/google/uuid"
)

// issuing is a card to be issued. Its number is drawn inside the transaction, so
// that numbers are used in order and none is lost with a call that fails.
type issuing struct {
	number    int32 // of the range
	name      string
	blockSize int64
	// mint makes the card of a number of the range, or returns false where that
	// number is reserved.
	mint func(i int64) (minted, bool, error)
}

// minted is a card that a number became.
type minted struct {
	card CardRow
	draw func(card CardRow) (TokenRow, error)
}

const (
	// maxTries bounds how many numbers that came from elsewhere one commit finds for a
	// change, and so how often its card is sealed: see cardKeys.
	maxTries = 8
	// maxPassed bounds how many numbers of a range one commit passes over, which takes
	// it a fraction of a second.
	maxPassed = 1 << 16
)

// issue gives every change that asks for one a card of its range. Where too many
// numbers in a row cannot be used, it commits that much and has the caller come
// again: a commit holds the work of others, and must end.
func (r *round) issue(ctx context.Context, tx Tx, changes []*change) error {
	var waiting []*change
	for _, c := range changes {
		if c.issue != nil && c.open() {
			waiting = append(waiting, c)
		}
	}
	passed := map[int32]int64{}
	for tries := 0; len(waiting) > 0 && tries < maxTries; tries++ {
		var err error
		if waiting, err = r.insertIssued(ctx, tx, waiting, passed); err != nil {
			return err
		}
	}
	for _, c := range waiting {
		c.out.refused = ErrBINRangeCrowded
	}
	for number, n := range passed {
		if err := tx.PassNumbers(ctx, number, n); err != nil {
			return err
		}
	}
	return nil
}

// insertIssued draws a number for each change, inserts the cards, and returns the
// changes whose number was taken and who need another.
func (r *round) insertIssued(ctx context.Context, tx Tx, waiting []*change, passed map[int32]int64) ([]*change, error) {
	byFingerprint := map[uuid.UUID]*change{}
	var rows []CardRow
	for _, c := range waiting {
		if err := r.mint(ctx, tx, c, passed); err != nil {
			return nil, err
		}
		if c.open() {
			byFingerprint[c.out.card.Fingerprint] = c
			rows = append(rows, c.out.card)
		}
	}
	taken, err := tx.InsertCards(ctx, tenantOf(waiting), rows)
	if err != nil {
		return nil, err
	}
	var again []*change
	for _, row := range taken {
		c := byFingerprint[row.Fingerprint]
		c.out.card = CardRow{}
		passed[c.issue.number]++
		if row.Origin == Tokenized {
			again = append(again, c) // a PAN that came from elsewhere: the next number then
			continue
		}
		if err := r.stop(ctx, tx, c); err != nil {
			return nil, err
		}
	}
	return again, nil
}

// mint draws the change's number, passing over reserved ones.
func (r *round) mint(ctx context.Context, tx Tx, c *change, passed map[int32]int64) error {
	for passed[c.issue.number] < maxPassed {
		i, ok, err := r.draw(ctx, tx, c.issue)
		if err != nil {
			return err
		}
		if !ok {
			c.out.refused = ErrBINRangeExhausted
			return nil
		}
		m, ok, err := c.issue.mint(i)
		if err != nil {
			return err
		}
		if ok {
			c.out.card, c.out.token, c.out.draw = m.card, m.card.StandingToken, m.draw
			return nil
		}
		passed[c.issue.number]++
	}
	c.out.refused = ErrBINRangeCrowded
	return nil
}

// stop ends issuing from a range that drew a number it had drawn before. The
// counter has been tampered with or went back, and nothing else can be trusted
// not to be issued twice (P2).
func (r *round) stop(ctx context.Context, tx Tx, c *change) error {
	c.out.refused = ErrBINRangeStopped
	var err error
	c.out.stopped, err = tx.SetBINRangeState(ctx, c.tenant, c.issue.name, RangeActive, RangeStopped)
	return err
}
