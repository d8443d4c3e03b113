package vault_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
)

// meddledStore hands out transactions that wrap the store's.
type meddledStore struct {
	vault.Store

	commits int // written by the journal alone
	wrap    func(tx vault.Tx) vault.Tx
}

func (s *meddledStore) Commit(ctx context.Context, fn commitFunc) error {
	s.commits++
	return s.Store.Commit(ctx, func(ctx context.Context, tx vault.Tx) ([]audit.Record, error) {
		return fn(ctx, s.wrap(tx))
	})
}

// idsTaken is a Tx that finds the id of every new card taken.
type idsTaken struct{ vault.Tx }

func (t idsTaken) InsertCards(ctx context.Context, tenant string, rows []vault.CardRow) ([]vault.CardRow, error) {
	if len(rows) == 0 {
		return t.Tx.InsertCards(ctx, tenant, rows)
	}
	return nil, fmt.Errorf("card id: %w", vault.ErrTaken)
}

// TestTakenCardIsNoTakenEntry: that a card's id is taken does not say that the chain
// went on, and trying again until time runs out would hold up everybody.
func TestTakenCardIsNoTakenEntry(t *testing.T) {
	s := newSite(t)
	store := &meddledStore{Store: s.store, wrap: func(tx vault.Tx) vault.Tx { return tx }}
	v := s.replica(t, store)
	createRange(t, v, spec("demo", "99990000001"))
	issue(t, v, 1)
	store.wrap = func(tx vault.Tx) vault.Tx { return idsTaken{tx} }
	before := store.commits
	if _, err := v.IssueCards(t.Context(), caller("issuer"), requests(1)); !errors.Is(err, vault.ErrStoreUnavailable) {
		t.Error(err)
	}
	if got := store.commits - before; got > 2 {
		t.Errorf("tried %d times", got)
	}
	store.wrap = func(tx vault.Tx) vault.Tx { return tx }
	issue(t, v, 1)
}

// inserts counts the calls of one transaction that insert cards.
type inserts struct {
	vault.Tx

	n *int
}

func (t inserts) InsertCards(ctx context.Context, tenant string, rows []vault.CardRow) ([]vault.CardRow, error) {
	if len(rows) > 0 {
		*t.n++
	}
	return t.Tx.InsertCards(ctx, tenant, rows)
}

// TestCrowdedRangeHoldsUpNobody issues from a range whose numbers all came from
// elsewhere: each call looks at a few of them, gets on by them, and ends.
func TestCrowdedRangeHoldsUpNobody(t *testing.T) {
	s := newSite(t)
	var n int
	store := &meddledStore{Store: s.store, wrap: func(tx vault.Tx) vault.Tx {
		n = 0
		return inserts{tx, &n}
	}}
	v := s.replica(t, store)
	createRange(t, v, spec("demo", "9999000000001"))
	for i := range 100 {
		tokenize(t, v, numberOf(fmt.Sprintf("9999000000001%02d", i)), vault.TokenOptions{})
	}
	used := int64(0)
	for {
		results, err := v.IssueCards(t.Context(), caller("issuer"), requests(1))
		if err != nil {
			t.Fatal(err)
		}
		if n > 8 {
			t.Fatalf("one commit inserted %d times", n)
		}
		if errors.Is(results[0].Err, vault.ErrBINRangeExhausted) {
			break
		}
		if !errors.Is(results[0].Err, vault.ErrBINRangeCrowded) {
			t.Fatal(results[0].Err)
		}
		now := demoRange(t, v)
		if now.Issued <= used || now.Live != 0 {
			t.Fatalf("%d numbers used after %d, %d live", now.Issued, used, now.Live)
		}
		used = now.Issued
	}
	if got := demoRange(t, v); got.Issued != 100 || got.Live != 0 {
		t.Errorf("%d used, %d live", got.Issued, got.Live)
	}
}

// TestSparseRangeHoldsUpNobody issues from a range of which next to nothing is to be
// issued.
func TestSparseRangeHoldsUpNobody(t *testing.T) {
	s := newSite(t)
	v := s.replica(t, s.store)
	sparse := spec("demo", "999900") // 10^9 numbers
	sparse.Reserved = []vault.TextInterval{{First: "000000001", Last: "999999999"}}
	createRange(t, v, sparse)
	for i := range 2 {
		results, err := v.IssueCards(t.Context(), caller("issuer"), requests(1))
		if err != nil || !errors.Is(results[0].Err, vault.ErrBINRangeCrowded) {
			t.Fatal(err, results)
		}
		if got := demoRange(t, v).Issued; got <= int64(i)*1000 {
			t.Errorf("only %d numbers passed over", got)
		}
	}
}
