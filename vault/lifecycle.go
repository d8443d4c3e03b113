package vault

import (
	"context"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault/access"
)

// SuspendCard stops an active card: no call that begins after its commit gives its
// PAN to anyone, on any replica, until it is resumed. One that had read the card
// before may still answer.
func (v *Vault) SuspendCard(ctx context.Context, c Caller, requestID, id string) (Card, Receipt, error) {
	return v.changeCard(ctx, c, access.SuspendCard, requestID, id, func(row *CardRow) error {
		return row.move(CardActive, CardSuspended)
	})
}

// ResumeCard makes a suspended card active.
func (v *Vault) ResumeCard(ctx context.Context, c Caller, requestID, id string) (Card, Receipt, error) {
	return v.changeCard(ctx, c, access.ResumeCard, requestID, id, func(row *CardRow) error {
		return row.move(CardSuspended, CardActive)
	})
}

// CloseCard ends a card for good.
func (v *Vault) CloseCard(ctx context.Context, c Caller, requestID, id string) (Card, Receipt, error) {
	return v.changeCard(ctx, c, access.CloseCard, requestID, id, func(row *CardRow) error {
		return row.move(row.State, CardClosed)
	})
}

// RenewCard gives a card that is not closed a later expiry; nil: after the rule of
// its range, counted from now.
func (v *Vault) RenewCard(ctx context.Context, c Caller, requestID, id string, expiry *Month) (Card, Receipt, error) {
	return v.changeCard(ctx, c, access.RenewCard, requestID, id, func(row *CardRow) error {
		later, err := v.renewal(ctx, c.Tenant, *row, expiry)
		if err != nil {
			return err
		}
		if later <= row.Expiry {
			return ErrExpiryEarlier.In("expiry")
		}
		row.Expiry = later
		return row.move(row.State, row.State)
	}, expiry.bytes())
}

// renewal returns the new expiry of a card.
func (v *Vault) renewal(ctx context.Context, tenant string, row CardRow, expiry *Month) (Expiry, error) {
	if expiry != nil {
		return expiry.expiry(v.now())
	}
	if row.Origin != Issued {
		return 0, ErrExpiry.In("expiry") // no range, no rule
	}
	of, err := v.binRange(ctx, tenant, row.BINRange)
	return ExpiryIn(v.now(), int(of.ValidityMonths)), err
}

// move changes the state from one to another, or says why the card is not there.
func (r *CardRow) move(from, to CardState) error {
	switch {
	case r.State == CardClosed:
		return ErrCardClosed
	case r.State == from:
		r.State = to
		return nil
	case r.State == CardSuspended:
		return ErrCardSuspended
	default:
		return ErrCardActive
	}
}

// changeCard changes a card by compare-and-swap: as it was read, or not at all.
func (v *Vault) changeCard(
	ctx context.Context, c Caller, a access.Action, requestID, id string, edit func(*CardRow) error, asked ...[]byte,
) (Card, Receipt, error) {
	g, err := v.guard(ctx, c, a, about{})
	if err != nil {
		return Card{}, Receipt{}, err
	}
	ch := g.change()
	receipt, err := v.finish(ctx, ch, v.planEdit(ctx, ch, g, requestID, id, edit, asked))
	if err != nil {
		return Card{}, receipt, err
	}
	card, _, err := v.cardOf(ctx, ch)
	return card, receipt, err
}

// planEdit makes the change replace the card's row as it was read, or returns why
// it cannot.
func (v *Vault) planEdit(
	ctx context.Context, ch *change, g grant, requestID, id string, edit func(*CardRow) error, asked [][]byte,
) error {
	card, err := v.planCard(ch, g, requestID, id, asked...)
	if err != nil {
		return err
	}
	if err := v.findCard(ctx, ch, card); err != nil {
		return err
	}
	was, now := ch.card, ch.card
	// The repetition of a request that was done finds the card already changed: the
	// journal knows the request, and answers it before it comes to the refusal.
	if ch.unless, err = asRefusal(edit(&now)); err != nil {
		return err
	}
	ch.apply = func(ctx context.Context, tx Tx, c *change) error {
		ok, err := tx.UpdateCard(ctx, c.tenant, was, now)
		if err == nil && !ok {
			err = ErrCardChanged
		}
		c.out.card = now
		return err
	}
	return nil
}

// planCard reads the ids of a change of one card.
func (v *Vault) planCard(ch *change, g grant, requestID, id string, asked ...[]byte) (uuid.UUID, error) {
	card, err := parseID("id", id, ErrCardID)
	if err != nil {
		return uuid.Nil, err
	}
	if err := ch.repeatable(requestID, g, v.now(), append(asked, card[:])...); err != nil {
		return uuid.Nil, err
	}
	if ch.request != nil {
		ch.request.Card = card
	}
	return card, nil
}

// DeleteCard removes a card's ciphertext and tokens. What stays is its
// fingerprint, so that its number is never issued again.
func (v *Vault) DeleteCard(ctx context.Context, c Caller, requestID, id string) (Receipt, error) {
	g, err := v.guard(ctx, c, access.DeleteCard, about{})
	if err != nil {
		return Receipt{}, err
	}
	ch := g.change()
	card, err := v.planCard(ch, g, requestID, id)
	ch.card.ID = card
	ch.apply = func(ctx context.Context, tx Tx, c *change) error {
		ok, err := tx.DeleteCard(ctx, c.tenant, card)
		if err == nil && !ok {
			err = ErrCardNotFound
		}
		return err
	}
	return v.finish(ctx, ch, err)
}
