package vaulttest

import (
	"fmt"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/ledger"
)

func dropCases() []contractCase {
	return []contractCase{
		{"ends entries in order, up to the limit", dropInOrder},
		{"leaves runs and tiles", dropLeavesTheLog},
		{"leaves what is not in the log", dropLeavesOthers},
		{"does not go back", dropDoesNotGoBack},
	}
}

func dropInOrder(t *contract) {
	one, two := newReplica(t, t.open()), newReplica(t, t.open())
	one.seal(8)
	two.seal(8)
	s := newSequencer(t, t.open())
	s.extend(one.run(0, 3), two.run(0, 4), one.run(3, 5), two.run(4, 4))
	all := s.entries(one, two)
	for _, c := range []struct {
		first, now int64
		limit      int
	}{
		{first: 2, limit: 0, now: 0},
		{first: 5, limit: 1, now: 1},
		{first: 5, limit: 3, now: 4},
		{first: 5, limit: 3, now: 5},
		{first: 6, limit: 100, now: 6},
		{first: 1000, limit: 9, now: 15},
		{first: 1000, limit: 9, now: 16}, // no further than the log goes
	} {
		what := fmt.Sprintf("after %d below %d", c.limit, c.first)
		same(t, "first "+what, s.drop(c.first, c.limit), c.now)
		same(t, "first in the head "+what, s.head.First, c.now)
		got := must(t.open().ListLog(t.Context(), 0, 100))(t)
		for i := range got {
			if dropped := got[i].Record.Body == nil; dropped != (got[i].Index < c.now) {
				t.Errorf("index %d %s: dropped: %v", i, what, dropped)
			}
		}
		same(t, "the rest "+what, got[c.now:], all[c.now:])
	}
	same(t, "size", s.head.Size, 16)
}

func dropLeavesTheLog(t *contract) {
	one, two := newReplica(t, t.open()), newReplica(t, t.open())
	one.seal(4)
	two.seal(4)
	s := newSequencer(t, t.open())
	s.extend(one.run(0, 2), two.run(0, 2))
	s.drop(3, 10)
	s.listed(t.open(), one, two) // the dropped ones have replica and number alone
	same(t, "first tile", firstTile(t, s), tileOf(4))
	same(t, "entries left", len(must(t.open().ListEntries(t.Context(), tenant, vault.EntryPosition{}, 100))(t)), 2)
	s.extend(one.run(2, 2), two.run(2, 2))
	s.listed(t.open(), one, two)
	same(t, "grown when the log has all", len(grown(t, s)), 0)
}

func dropLeavesOthers(t *contract) {
	one, two := newReplica(t, t.open()), newReplica(t, t.open())
	one.seal(4)
	records := two.seal(3)
	s := newSequencer(t, t.open())
	s.extend(one.run(0, 3))
	same(t, "first", s.drop(100, 100), 3)
	same(t, "entry behind the run", len(must(s.ChainRecords(t.Context(), one.id, 0, 10))(t)), 1)
	same(t, "entries of another chain", must(s.ChainRecords(t.Context(), two.id, 0, 10))(t), records)
}

func dropDoesNotGoBack(t *contract) {
	r := newReplica(t, t.open())
	r.seal(6)
	s := newSequencer(t, t.open())
	s.extend(r.run(0, 6))
	s.drop(4, 10)
	for _, first := range []int64{-1, 0, 3, 4} {
		same(t, fmt.Sprintf("first after a drop below %d", first), s.drop(first, 10), 4)
	}
	same(t, "head", s.head, ledger.Head{Size: 6, First: 4, Term: s.head.Term, Beat: s.head.Beat, Holder: s.id})
	same(t, "entries left", len(must(s.ChainRecords(t.Context(), r.id, 0, 10))(t)), 2)
}
