package vaulttest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
)

func chainCases() []contractCase {
	return []contractCase{
		{"have the tail of the last commit that sealed", tailMoves},
		{"keep the key of their first tail", tailKeepsItsKey},
		{"do not go back", tailDoesNotGoBack},
		{"move with the records or not at all", tailIsWhole},
		{"may have a tail without a seal", tailWithoutSeal},
		{"are grown until the log has them", grownUntilLogged},
		{"are grown where the log is ahead of them", grownBehindTheLog},
		{"are listed up to the limit", grownUpToTheLimit},
		{"come back from any number on", chainRecords},
	}
}

// sealed is the tail of a chain as its replica would seal it.
func sealed(id uuid.UUID, chain audit.Chain) audit.Tail {
	return audit.Tail{
		Replica: id, Number: chain.Len() - 1, Head: chain.Head(), KEKKind: "test", Key: []byte("key of " + id.String()),
		Seal: audit.LeafHash(fmt.Appendf(nil, "seal of %s %d", id, chain.Len())),
	}
}

// seal commits n entries, of several tenants, with the chain's tail. Such a chain
// has no others.
func (r *replica) seal(n int) []audit.Record {
	r.t.Helper()
	chain := r.chain
	records := make([]audit.Record, n)
	for i := range records {
		entry := audit.Entry{Tenant: []string{tenant, foreign, ""}[i%3], Action: "Test", Count: i}
		chain, records[i] = chain.Append(entry, r.now)
	}
	err := r.Commit(r.t.Context(), func(_ context.Context, tx vault.Tx) ([]audit.Record, error) {
		tx.SealChain(sealed(r.id, chain))
		return records, nil
	})
	if err != nil {
		r.t.Fatalf("commit of %d entries: %v", n, err)
	}
	r.chain, r.sealed = chain, append(r.sealed, records...)
	return records
}

// grown returns all chains that are not where the log has them, in order of replica.
func grown(t testing.TB, store ledger.Store) []ledger.Grown {
	t.Helper()
	all := must(store.ListGrown(t.Context(), 1000))(t)
	slices.SortFunc(all, func(a, b ledger.Grown) int { return slices.Compare(a.Tail.Replica[:], b.Tail.Replica[:]) })
	return all
}

func tailMoves(t *contract) {
	r, store := newReplica(t, t.open()), t.open()
	r.commit(func(context.Context, vault.Tx) error { return nil })
	same(t, "grown before there is a tail", len(grown(t, store)), 0)
	for range 3 {
		r.seal(2)
		same(t, "grown", grown(t, store), []ledger.Grown{{Tail: sealed(r.id, r.chain)}})
	}
	// With other rows in the transaction.
	next, _ := r.chain.Append(audit.Entry{Tenant: tenant, Action: "Test"}, r.now)
	r.commit(func(ctx context.Context, tx vault.Tx) error {
		tx.SealChain(sealed(r.id, next))
		_, err := tx.InsertCards(ctx, tenant, []vault.CardRow{newCard()})
		return err
	})
	same(t, "grown with a card", grown(t, store), []ledger.Grown{{Tail: sealed(r.id, next)}})
}

func tailKeepsItsKey(t *contract) {
	r := newReplica(t, t.open())
	r.seal(1)
	want := sealed(r.id, r.chain)
	next, _ := r.chain.Append(audit.Entry{Tenant: tenant, Action: "Test"}, r.now)
	moved := sealed(r.id, next)
	want.Number, want.Head, want.Seal = moved.Number, moved.Head, moved.Seal
	moved.KEKKind, moved.Key = "other", []byte("another key")
	r.commit(func(_ context.Context, tx vault.Tx) error {
		tx.SealChain(moved)
		return nil
	})
	same(t, "grown", grown(t, t.open()), []ledger.Grown{{Tail: want}})
}

func tailDoesNotGoBack(t *contract) {
	r := newReplica(t, t.open())
	r.seal(3)
	want := sealed(r.id, r.chain)
	for _, number := range []int64{0, 1, 2} {
		back := want
		back.Number, back.Head, back.Seal = number, audit.Hash{1}, audit.Hash{2}
		r.commit(func(_ context.Context, tx vault.Tx) error {
			tx.SealChain(back)
			return nil
		})
		same(t, fmt.Sprintf("grown after a tail at %d", number), grown(t, r), []ledger.Grown{{Tail: want}})
	}
	further := want
	further.Number = 5
	r.commit(func(_ context.Context, tx vault.Tx) error {
		tx.SealChain(further)
		tx.SealChain(want)
		return nil
	})
	same(t, "grown after two tails in one commit", grown(t, r), []ledger.Grown{{Tail: further}})
}

func tailIsWhole(t *contract) {
	r := newReplica(t, t.open())
	first := r.chain
	r.seal(1)
	want := []ledger.Grown{{Tail: sealed(r.id, r.chain)}}
	further := sealed(r.id, r.chain)
	further.Number = 7
	for what, returned := range map[string]error{"fn fails": errOfFn, "the number is taken": nil} {
		r.chain = first
		err := r.try(func(_ context.Context, tx vault.Tx) error {
			tx.SealChain(further)
			return returned
		})
		if err == nil {
			t.Fatalf("%s, and yet it was committed", what)
		}
		same(t, "grown where "+what, grown(t, t.open()), want)
	}
	err := r.Commit(t.Context(), func(_ context.Context, tx vault.Tx) ([]audit.Record, error) {
		tx.SealChain(further)
		return nil, nil
	})
	is(t, "a tail without records", err, vault.ErrNoRecords)
	same(t, "grown without records", grown(t, t.open()), want)
}

func tailWithoutSeal(t *contract) {
	r := newReplica(t, t.open())
	bare := audit.Tail{Replica: r.id, Number: 0}
	r.commit(func(_ context.Context, tx vault.Tx) error {
		tx.SealChain(bare)
		return nil
	})
	got := grown(t, t.open())
	same(t, "grown", got, []ledger.Grown{{Tail: bare}})
	if got[0].Tail.Key != nil {
		t.Error("a key of no bytes, want none")
	}
}

func grownUntilLogged(t *contract) {
	one, two := newReplica(t, t.open()), newReplica(t, t.open())
	s := newSequencer(t, t.open())
	one.seal(4)
	two.seal(2)
	s.extend(one.run(0, 3), two.run(0, 2))
	head := one.head(2)
	same(t, "grown", grown(t, t.open()), []ledger.Grown{{Tail: sealed(one.id, one.chain), Next: 3, Prev: head}})
	s.extend(one.run(3, 1))
	same(t, "grown when the log has all", len(grown(t, t.open())), 0)
	two.seal(1)
	same(t, "grown again", grown(t, t.open()), []ledger.Grown{
		{Tail: sealed(two.id, two.chain), Next: 2, Prev: two.head(1)},
	})
}

// grownBehindTheLog: no replica leaves a chain so. Unseen, whatever it writes up to
// there would stay out of the log.
func grownBehindTheLog(t *contract) {
	r := newReplica(t, t.open())
	s := newSequencer(t, t.open())
	r.seal(4)
	run := r.run(0, 4)
	run.Count = 7
	s.extend(run)
	same(t, "grown", grown(t, t.open()), []ledger.Grown{{Tail: sealed(r.id, r.chain), Next: 7, Prev: r.head(3)}})
}

func grownUpToTheLimit(t *contract) {
	want := map[uuid.UUID]bool{}
	for range 5 {
		r := newReplica(t, t.open())
		r.seal(1)
		want[r.id] = true
	}
	for limit, n := range map[int]int{0: 0, 1: 1, 3: 3, 5: 5, 9: 5} {
		got := must(t.open().ListGrown(t.Context(), limit))(t)
		same(t, fmt.Sprintf("grown with limit %d", limit), len(got), n)
		for _, g := range got {
			if !want[g.Tail.Replica] {
				t.Errorf("replica %s is listed twice, or never was", g.Tail.Replica)
			}
		}
	}
}

func chainRecords(t *contract) {
	r := newReplica(t, t.open())
	newReplica(t, t.open()).seal(3)
	all := append(r.seal(4), r.seal(3)...)
	store := t.open()
	for _, c := range []struct{ number, limit, end int }{{0, 100, 7}, {0, 7, 7}, {2, 3, 5}, {6, 5, 7}, {7, 5, 7}, {3, 0, 3}} {
		got := must(store.ChainRecords(t.Context(), r.id, int64(c.number), c.limit))(t)
		same(t, fmt.Sprintf("%d from %d on", c.limit, c.number), got, all[c.number:c.end])
	}
	same(t, "records of nobody", len(must(store.ChainRecords(t.Context(), uuid.New(), 0, 10))(t)), 0)
}
