package vaulttest

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault/ledger"
)

func leaseCases() []contractCase {
	return []contractCase{
		{"is nobody's in an empty log", leaseOfNobody},
		{"is taken in a new term", leaseTaken},
		{"is not taken from one who lives", leaseNotTaken},
		{"goes to one of many", leaseRace},
		{"beats while it is renewed", leaseRenewed},
		{"fences off every other term", leaseFences},
		{"publishes checkpoints", leasePublishes},
	}
}

func leaseOfNobody(t *contract) {
	store := t.open()
	same(t, "head of an empty log", must(store.LogHead(t.Context()))(t), ledger.Head{})
	fenced(t, store, 0)
	same(t, "head after nobody wrote", must(t.open().LogHead(t.Context()))(t), ledger.Head{})
}

// fenced fails the test if a term writes anything.
func fenced(t testing.TB, store ledger.Store, term int64) {
	t.Helper()
	head := must(store.LogHead(t.Context()))(t)
	is(t, "renew", store.RenewLease(t.Context(), term), ledger.ErrFenced)
	is(t, "publish", store.Publish(t.Context(), term, []byte("forged")), ledger.ErrFenced)
	is(t, "extend by nothing", store.ExtendLog(t.Context(), term, ledger.Extension{Size: head.Size}), ledger.ErrFenced)
	is(t, "extend", store.ExtendLog(t.Context(), term, ledger.Extension{
		Size:  head.Size,
		Runs:  []ledger.Run{{First: head.Size, Replica: uuid.New(), Count: 1}},
		Tiles: []ledger.Tile{{Hashes: make([]byte, 32)}},
	}), ledger.ErrFenced)
	_, err := store.DropEntries(t.Context(), term, head.Size, 1000)
	is(t, "drop", err, ledger.ErrFenced)
	same(t, fmt.Sprintf("head after term %d wrote", term), must(store.LogHead(t.Context()))(t), head)
}

func leaseTaken(t *contract) {
	store, id := t.open(), uuid.New()
	head, took, err := store.TakeLease(t.Context(), ledger.Head{}, id)
	if err != nil || !took || head.Term != 1 || head.Holder != id || head.Size != 0 || head.First != 0 || head.Checkpoint != nil {
		t.Errorf("took it: %v, head %+v, error %v", took, head, err)
	}
	same(t, "head", must(t.open().LogHead(t.Context()))(t), head)

	r := newReplica(t, store)
	r.seal(5)
	s := newSequencer(t, t.open())
	s.extend(r.run(0, 5))
	s.drop(2, 10)
	if err := s.Publish(t.Context(), s.head.Term, []byte("checkpoint")); err != nil {
		t.Fatal(err)
	}
	after := newSequencer(t, t.open()).head
	if after.Term != 3 || after.Size != 5 || after.First != 2 || string(after.Checkpoint) != "checkpoint" {
		t.Errorf("head %+v, want all but term, beat and holder as it was", after)
	}
}

func leaseNotTaken(t *contract) {
	store, id := t.open(), uuid.New()
	first, _, err := store.TakeLease(t.Context(), ledger.Head{}, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.RenewLease(t.Context(), first.Term); err != nil {
		t.Fatal(err)
	}
	head := must(store.LogHead(t.Context()))(t)
	for what, was := range map[string]ledger.Head{
		"an empty log":    {},
		"an earlier beat": first,
		"another term":    {Term: head.Term + 1, Beat: head.Beat},
		"a term before":   {Term: head.Term - 1, Beat: head.Beat},
	} {
		got, took, err := t.open().TakeLease(t.Context(), was, uuid.New())
		if err != nil || took {
			t.Errorf("from %s: took it: %v, error %v", what, took, err)
		}
		same(t, "head returned", got, ledger.Head{})
		same(t, "head after an attempt from "+what, must(store.LogHead(t.Context()))(t), head)
	}
	if again, took, err := t.open().TakeLease(t.Context(), head, uuid.New()); err != nil || !took || again.Term != head.Term+1 {
		t.Errorf("from the head as it is: took it: %v, head %+v, error %v", took, again, err)
	}
}

func leaseRace(t *contract) {
	const replicas, rounds = 4, 5
	stores := make([]Store, replicas)
	for i := range stores {
		stores[i] = t.open()
	}
	for round := range rounds {
		was := must(stores[0].LogHead(t.Context()))(t)
		var winners atomic.Int32
		var winner atomic.Value
		together(replicas, func(i int) {
			id := uuid.New()
			head, took, err := stores[i].TakeLease(t.Context(), was, id)
			if err != nil {
				t.Error(err)
			}
			if took {
				winners.Add(1)
				winner.Store(head)
				if head.Holder != id {
					t.Error("a head of another holder was returned")
				}
			}
		})
		if n := winners.Load(); n != 1 {
			t.Fatalf("round %d: %d took the lease", round, n)
		}
		head := must(stores[round%replicas].LogHead(t.Context()))(t)
		same(t, "head", head, winner.Load().(ledger.Head)) //nolint:forcetypeassert // stored above
		same(t, "term", head.Term, was.Term+1)
	}
}

func leaseRenewed(t *contract) {
	s := newSequencer(t, t.open())
	want := s.head
	for range 3 {
		if err := s.RenewLease(t.Context(), s.head.Term); err != nil {
			t.Fatal(err)
		}
		want.Beat++
		same(t, "head", must(t.open().LogHead(t.Context()))(t), want)
	}
}

func leaseFences(t *contract) {
	r := newReplica(t, t.open())
	records := r.seal(3)
	old := newSequencer(t, t.open())
	old.extend(r.run(0, 2))
	s := newSequencer(t, t.open())
	for _, term := range []int64{-1, 0, old.head.Term, s.head.Term + 1} {
		fenced(t, old, term)
	}
	// The old sequencer goes on where it was, as if it had slept.
	is(t, "extend", old.ExtendLog(t.Context(), old.head.Term, old.extension(r.run(2, 1))), ledger.ErrFenced)
	_, err := old.DropEntries(t.Context(), old.head.Term, 2, 10)
	is(t, "drop", err, ledger.ErrFenced)
	same(t, "head", must(t.open().LogHead(t.Context()))(t), s.head)
	same(t, "first tile", firstTile(t, s), tileOf(2))
	same(t, "grown", grown(t, s), []ledger.Grown{{Tail: sealed(r.id, r.chain), Next: 2, Prev: r.head(1)}})
	same(t, "entries", must(s.ChainRecords(t.Context(), r.id, 0, 10))(t), records)
	s.extend(r.run(2, 1))
	same(t, "first tile of the new term", firstTile(t, s), tileOf(3))
}

func leasePublishes(t *contract) {
	s := newSequencer(t, t.open())
	want := s.head
	for i := range 3 {
		want.Checkpoint = fmt.Appendf(nil, "checkpoint %d\n\n— signed", i)
		if err := s.Publish(t.Context(), s.head.Term, want.Checkpoint); err != nil {
			t.Fatal(err)
		}
		same(t, "head", must(t.open().LogHead(t.Context()))(t), want)
	}
}
