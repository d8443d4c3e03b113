package vault

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/vault/audit"
)

// change is one item of one call on its way through the journal: what it wants
// written, its audit entry, and, once it is committed, what came of it.
//
// The zero change, with an entry, only records. The journal applies the kinds of
// work in the order of the fields.
type change struct {
	tenant string
	entry  audit.Entry
	// refused is why nothing is done; the refusal is recorded all the same.
	refused *Error

	// request makes the change repeatable; nil where the caller gave no id.
	request *RequestRow
	// unless refuses the change if its request was not answered before.
	unless *Error
	// use is a single-use token that this change uses up.
	use      *tokenizer.ID
	issue    *issuing
	tokenize *tokenizing
	// card is the card that this change is about, where it stands there already, and
	// draw makes an extra token for it.
	card CardRow
	draw func(card CardRow) (TokenRow, error)
	// apply is work that is rare enough to cost round trips of its own. Its refusals
	// are of type *Error; any other error fails the commit.
	apply func(ctx context.Context, tx Tx, c *change) error

	out outcome
}

// outcome is what came of a change. The journal clears it at each attempt.
type outcome struct {
	receipt Receipt
	refused *Error
	// replay is what the request answered the first time.
	replay   *RequestRow
	card     CardRow
	token    tokenizer.ID
	existing bool
	// draw makes an extra token for the card; nil where the standing one will do.
	draw func(card CardRow) (TokenRow, error)
	// stopped: this change's number was issued before, and it stopped the range.
	stopped bool
	// altered: the card's token is not as the vault wrote it.
	altered bool
}

// open reports whether the change still is to be done.
func (c *change) open() bool { return c.out.refused == nil && c.out.replay == nil }

// begin clears what an earlier attempt left.
func (c *change) begin() { c.out = outcome{refused: c.refused, card: c.card, draw: c.draw} }

// record returns the audit entry of what came of the change.
func (c *change) record() audit.Entry {
	entry := c.entry
	entry.Result = "OK"
	if c.out.refused != nil {
		entry.Result = c.out.refused.Reason
	}
	if c.request != nil {
		entry.RequestID = c.request.ID
	}
	switch {
	case c.out.card.ID != uuid.Nil:
		entry.Card, entry.Key = c.out.card.ID, c.out.card.Key
	case c.out.replay != nil:
		entry.Card = c.out.replay.Card
	}
	return entry
}

// outcome returns the receipt and the refusal, if any, of a committed change.
func (c *change) outcome() (Receipt, error) {
	if c.out.refused != nil {
		return c.out.receipt, c.out.refused
	}
	return c.out.receipt, nil
}

// reject makes an error that came before the commit the change's refusal, and
// returns it where it is a fault.
func (c *change) reject(err error) error {
	c.refused, err = asRefusal(err)
	return err
}

// refuse is reject within the commit.
func (c *change) refuse(err error) error {
	c.out.refused, err = asRefusal(err)
	return err
}

// asRefusal tells a refusal, which is recorded and answered, from a fault, which
// fails the commit.
func asRefusal(err error) (*Error, error) {
	var refusal *Error
	if errors.As(err, &refusal) && refusal != ErrStoreUnavailable {
		return refusal, nil
	}
	return nil, err
}
