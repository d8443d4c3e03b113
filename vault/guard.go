package vault

import (
	"context"

	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/audit"
)

// about is what a call is about, as far as policy decides on it.
type about struct {
	purpose  string
	view     View
	binRange string
}

// grant is policy's yes to one call, and how the call is recorded.
type grant struct {
	caller Caller
	entry  audit.Entry
}

// guard asks policy whether the caller may do this, and records the refusal where
// it may not. A caller who is nobody may do nothing.
func (v *Vault) guard(ctx context.Context, c Caller, a access.Action, on about) (grant, error) {
	g, denied := v.decide(c, a, on)
	if denied != nil {
		return grant{}, v.refuse(ctx, g.entry, denied)
	}
	return g, nil
}

// decide is guard for the items of a batch. Where it returns an error the grant is
// good for one thing only: to record the refusal.
func (v *Vault) decide(c Caller, a access.Action, on about) (grant, *Error) {
	decision := v.policy.Load().Decide(access.Request{
		Tenant: c.Tenant, Staff: c.Staff, Principal: c.Name, Action: a,
		Purpose: on.purpose, View: on.view.String(), BINRange: on.binRange,
	})
	entry := undecided(c, a)
	entry.Policy, entry.Purpose, entry.View, entry.BINRange = decision.Policy, on.purpose, on.view.String(), on.binRange
	if !decision.Allowed || !c.known() {
		return grant{c, entry}, ErrDenied
	}
	entry.Decision = audit.Allow
	return grant{c, entry}, nil
}

// undecided is the entry of a call that policy was not asked about.
func undecided(c Caller, a access.Action) audit.Entry {
	return audit.Entry{Principal: c.SPIFFE, CertSerial: c.CertSerial, Tenant: c.Tenant, Action: string(a)}
}

// Refuse records a refusal that was decided before the vault could look, such as
// of a message that does not parse, and returns why.
func (v *Vault) Refuse(ctx context.Context, c Caller, a access.Action, why *Error) error {
	return v.refuse(ctx, undecided(c, a), why)
}

func (v *Vault) refuse(ctx context.Context, entry audit.Entry, why *Error) error {
	if err := v.journal.commit(ctx, &change{entry: entry, refused: why}); err != nil {
		return err
	}
	return why
}

// change begins a change under the grant. It records the call as done unless
// something refuses it.
func (g grant) change() *change {
	return &change{tenant: g.caller.Tenant, entry: g.entry}
}

// finish commits the one change of a call. err is what came of planning or of
// reading: a refusal is recorded, and returned with its receipt.
func (v *Vault) finish(ctx context.Context, c *change, err error) (Receipt, error) {
	if err := c.reject(err); err != nil {
		return Receipt{}, err
	}
	if err := v.journal.commit(ctx, c); err != nil {
		return Receipt{}, err
	}
	return c.outcome()
}

// maxBatch bounds the items of one call.
const maxBatch = 1000

// checkBatch refuses a call with too many items or none.
func (v *Vault) checkBatch(ctx context.Context, c Caller, a access.Action, n int) error {
	if n < 1 || n > maxBatch {
		return v.Refuse(ctx, c, a, ErrBatchSize)
	}
	return nil
}

// storeError turns a store's error into what a caller is told.
func (v *Vault) storeError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err() // the caller gave up; the store may be well
	}
	v.alarms.raise(ctx, "read failed", err)
	return ErrStoreUnavailable
}
