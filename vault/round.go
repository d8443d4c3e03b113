package vault

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/vault/audit"
)

// round is one attempt to commit changes. A store may run apply several times; it
// starts from the journal's state each time and touches none of it.
type round struct {
	journal *journal
	changes []*change

	// What the round will leave behind.

	chain  audit.Chain
	blocks blocks
}

// apply does the work of the changes, tenant by tenant, and returns their audit
// records in the order in which they arrived.
func (r *round) apply(ctx context.Context, tx Tx) ([]audit.Record, error) {
	r.chain, r.blocks = r.journal.chain, r.journal.blocks.clone()
	for _, c := range r.changes {
		c.begin()
	}
	for _, group := range byTenant(r.changes) {
		if err := r.applyTenant(ctx, tx, group); err != nil {
			return nil, err
		}
	}
	if err := r.advance(ctx, tx); err != nil {
		return nil, err
	}
	records := r.records()
	tx.SealChain(r.journal.seal.tail(r.chain))
	return records, nil
}

// byTenant groups changes, in one order on all replicas so that they lock rows in
// one order.
func byTenant(changes []*change) [][]*change {
	sorted := slices.Clone(changes)
	slices.SortStableFunc(sorted, func(a, b *change) int { return strings.Compare(a.tenant, b.tenant) })
	var groups [][]*change
	for len(sorted) > 0 {
		n := slices.IndexFunc(sorted, func(c *change) bool { return c.tenant != sorted[0].tenant })
		if n < 0 {
			n = len(sorted)
		}
		groups, sorted = append(groups, sorted[:n]), sorted[n:]
	}
	return groups
}

func (r *round) applyTenant(ctx context.Context, tx Tx, changes []*change) error {
	repeats, err := claim(ctx, tx, changes)
	if err != nil {
		return err
	}
	for _, c := range changes {
		if c.open() {
			c.out.refused = c.unless
		}
	}
	for _, step := range []func(context.Context, Tx, []*change) error{
		r.useTokens, r.issue, tokenizeCards, insertTokens, applyEach,
	} {
		if err := step(ctx, tx, changes); err != nil {
			return err
		}
	}
	if err := keepAnswers(ctx, tx, changes); err != nil {
		return err
	}
	for c, first := range repeats {
		c.repeat(first)
	}
	return nil
}

// claim takes the request ids of the changes. One that was answered before becomes
// a replay. One that stands twice in these changes is done once: it returns the
// later ones with the first.
func claim(ctx context.Context, tx Tx, changes []*change) (map[*change]*change, error) {
	asking := map[uuid.UUID][]*change{}
	var rows []RequestRow
	for _, c := range changes {
		if c.request == nil || !c.open() {
			continue
		}
		if len(asking[c.request.ID]) == 0 {
			rows = append(rows, *c.request)
		}
		asking[c.request.ID] = append(asking[c.request.ID], c)
	}
	taken, err := tx.ClaimRequests(ctx, tenantOf(changes), rows)
	if err != nil {
		return nil, err
	}
	for _, row := range taken {
		for _, c := range asking[row.ID] {
			c.replay(row)
		}
		delete(asking, row.ID)
	}
	repeats := map[*change]*change{}
	for _, same := range asking {
		for _, c := range same[1:] {
			repeats[c] = same[0]
			c.out.refused = ErrRequestIDReused // until repeat says better
		}
	}
	return repeats, nil
}

// replay gives the change the answer of an earlier request, if it was the same.
func (c *change) replay(earlier RequestRow) {
	if earlier.Digest != c.request.Digest {
		c.out.refused = ErrRequestIDReused
		return
	}
	c.out.replay = &earlier
	c.out.token, c.out.existing = earlier.Token, earlier.Existing
}

// repeat gives the change the outcome of another with the same request id.
func (c *change) repeat(first *change) {
	if c.request.Digest == first.request.Digest {
		c.out = first.out
		c.out.stopped = false // the first one says so
	}
}

// keepAnswers remembers for each claimed request what it answers. A refused one is
// forgotten: it may succeed later.
func keepAnswers(ctx context.Context, tx Tx, changes []*change) error {
	var refused []uuid.UUID
	var amended []RequestRow
	for _, c := range changes {
		if c.request == nil || c.refused != nil || c.out.replay != nil || c.out.refused == ErrRequestIDReused {
			continue
		}
		if c.out.refused != nil {
			refused = append(refused, c.request.ID)
			continue
		}
		answer := *c.request
		answer.Token, answer.Existing = c.out.token, c.out.existing
		if c.out.card.ID != uuid.Nil {
			answer.Card = c.out.card.ID
		}
		if answer != *c.request {
			amended = append(amended, answer)
		}
	}
	if err := tx.ReleaseRequests(ctx, tenantOf(changes), refused); err != nil {
		return err
	}
	return tx.AmendRequests(ctx, tenantOf(changes), amended)
}

// useTokens uses up the single-use tokens. Of two changes that want one token the
// first gets it.
func (r *round) useTokens(ctx context.Context, tx Tx, changes []*change) error {
	var wanted []tokenizer.ID
	var users []*change
	for _, c := range changes {
		if c.use != nil && c.open() {
			wanted, users = append(wanted, *c.use), append(users, c)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	slices.SortFunc(wanted, func(a, b tokenizer.ID) int { return bytes.Compare(a[:], b[:]) })
	used, err := tx.UseTokens(ctx, tenantOf(changes), slices.Compact(wanted), r.journal.clock())
	if err != nil {
		return err
	}
	free := map[tokenizer.ID]bool{}
	for _, token := range used {
		free[token] = true
	}
	for _, c := range users {
		if !free[*c.use] {
			c.out.refused = ErrTokenUsed
		}
		delete(free, *c.use)
	}
	return nil
}

// applyEach does the work that comes one by one.
func applyEach(ctx context.Context, tx Tx, changes []*change) error {
	for _, c := range changes {
		if c.apply == nil || !c.open() {
			continue
		}
		if err := c.refuse(c.apply(ctx, tx, c)); err != nil {
			return err
		}
	}
	return nil
}

// records appends an audit entry for each change to the chain, and one for each
// range that had to be stopped.
func (r *round) records() []audit.Record {
	now := r.journal.clock()
	records := make([]audit.Record, 0, len(r.changes))
	add := func(e audit.Entry) Receipt {
		chain, record := r.chain.Append(e, now)
		r.chain, records = chain, append(records, record)
		return Receipt{Replica: record.Replica, Number: record.Number}
	}
	for _, c := range r.changes {
		c.out.receipt = add(c.record())
		if c.out.stopped {
			add(audit.Entry{
				Tenant: c.tenant, Action: string(actionStopRange), Decision: audit.Allow,
				BINRange: c.entry.BINRange, Result: "OK",
			})
		}
	}
	return records
}

func tenantOf(changes []*change) string { return changes[0].tenant }
