package vaulttest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
)

func logCases() []contractCase {
	return []contractCase{
		{"is extended by all or nothing", logExtended},
		{"refuses what does not follow", logRefuses},
		{"refuses another size", logOfAnotherSize},
		{"is extended once at each size", logRace},
		{"is not extended once the context is done", logTooLate},
		{"lists runs of several chains in order", logListed},
		{"finds an entry's index", logIndexOf},
		{"keeps tiles", logTiles},
		{"lists many entries and tiles", logOfMany},
		{"is what a model says, whatever happens", logModel},
	}
}

func logExtended(t *contract) {
	one, two := newReplica(t, t.open()), newReplica(t, t.open())
	one.seal(5)
	two.seal(5)
	s := newSequencer(t, t.open())
	beat := s.head.Beat
	for i, runs := range [][]ledger.Run{
		{one.run(0, 2), two.run(0, 1)},
		{two.run(1, 3)},
		{one.run(2, 1), two.run(4, 1), one.run(3, 2)}, // a chain twice
		{}, // tiles alone
	} {
		s.extend(runs...)
		want := s.head
		want.Size, want.Beat = []int64{3, 6, 10, 10}[i], beat+int64(i)+1
		same(t, "head", must(t.open().LogHead(t.Context()))(t), want)
		same(t, "first tile", firstTile(t, t.open()), tileOf(want.Size))
	}
	same(t, "grown when the log has all", len(grown(t, s)), 0)
	s.listed(t.open(), one, two)
}

func logRefuses(t *contract) {
	r, fresh := newReplica(t, t.open()), newReplica(t, t.open())
	r.seal(9)
	fresh.seal(9)
	s := newSequencer(t, t.open())
	s.extend(r.run(0, 4))
	elsewhere := func(x ledger.Extension, first int64) ledger.Extension {
		x.Runs[len(x.Runs)-1].First = first
		return x
	}
	want := grown(t, s)
	for what, x := range map[string]ledger.Extension{
		"a gap in a chain":                      s.extension(r.run(5, 1)),
		"an entry again":                        s.extension(r.run(3, 2)),
		"a chain from its beginning again":      s.extension(r.run(0, 1)),
		"a chain that does not begin":           s.extension(fresh.run(1, 1)),
		"a gap after a run that is right":       s.extension(fresh.run(0, 2), r.run(5, 1)),
		"a gap between runs of a chain":         s.extension(r.run(4, 2), r.run(7, 1)),
		"an overlap of runs of a chain":         s.extension(r.run(4, 2), r.run(5, 1)),
		"a run of nothing":                      s.extension(r.run(4, 1), r.run(5, 0)),
		"a run of less than nothing":            s.extension(r.run(4, 2), ledger.Run{Replica: r.id, Number: 6, Count: -1}),
		"an index that is taken":                elsewhere(s.extension(r.run(4, 1)), 3),
		"a gap before the first index":          elsewhere(s.extension(r.run(4, 1)), 5),
		"a gap between indexes":                 elsewhere(s.extension(r.run(4, 1), fresh.run(0, 1)), 6),
		"two runs with one index":               elsewhere(s.extension(r.run(4, 1), fresh.run(0, 1)), 4),
		"a run that is not at the log's size":   elsewhere(s.extension(r.run(4, 1)), 0),
		"a run that has an index below nothing": elsewhere(s.extension(r.run(4, 1)), -1),
	} {
		if err := s.ExtendLog(t.Context(), s.head.Term, x); err == nil || errors.Is(err, ledger.ErrFenced) {
			t.Errorf("%s: error %v, want one that is not ErrFenced", what, err)
		}
		same(t, "head after "+what, must(t.open().LogHead(t.Context()))(t), s.head)
		same(t, "grown after "+what, grown(t, t.open()), want)
		same(t, "first tile after "+what, firstTile(t, t.open()), tileOf(4))
		s.listed(t.open(), r, fresh)
	}
	s.extend(r.run(4, 5), fresh.run(0, 9)) // nothing of all that stands in its way
	s.listed(t.open(), r, fresh)
}

func logOfAnotherSize(t *contract) {
	r := newReplica(t, t.open())
	r.seal(9)
	s := newSequencer(t, t.open())
	s.extend(r.run(0, 4))
	for _, size := range []int64{-1, 0, 3, 5, 9} {
		x := ledger.Extension{Size: size, Tiles: []ledger.Tile{{Hashes: tileOf(size)}}}
		is(t, fmt.Sprintf("tiles at %d", size), s.ExtendLog(t.Context(), s.head.Term, x), ledger.ErrFenced)
		run := r.run(4, 1)
		run.First = size
		x.Runs = []ledger.Run{run}
		is(t, fmt.Sprintf("a run at %d", size), s.ExtendLog(t.Context(), s.head.Term, x), ledger.ErrFenced)
	}
	same(t, "head", must(t.open().LogHead(t.Context()))(t), s.head)
	same(t, "first tile", firstTile(t, s), tileOf(4))
}

func logRace(t *contract) {
	const writers, rounds = 4, 5
	stores := make([]Store, writers)
	chains := make([]*replica, writers)
	for i := range stores {
		stores[i], chains[i] = t.open(), newReplica(t, t.open())
		chains[i].seal(rounds)
	}
	s := newSequencer(t, t.open())
	next := [writers]int64{}
	for range rounds {
		var won atomic.Int32
		extensions := make([]ledger.Extension, writers)
		for i := range extensions {
			extensions[i] = s.extension(chains[i].run(next[i], 1))
		}
		winner := 0
		together(writers, func(i int) {
			switch err := stores[i].ExtendLog(t.Context(), s.head.Term, extensions[i]); {
			case err == nil:
				won.Add(1)
				winner = i // one alone gets here, or the test fails
			case !errors.Is(err, ledger.ErrFenced):
				t.Error(err)
			}
		})
		if n := won.Load(); n != 1 {
			t.Fatalf("%d of %d extended the log at one size", n, writers)
		}
		next[winner]++
		s.runs = append(s.runs, extensions[winner].Runs...)
		s.head = must(s.LogHead(t.Context()))(t)
		s.listed(t.open(), chains...)
	}
	same(t, "size", s.head.Size, rounds)
}

func logTooLate(t *contract) {
	r := newReplica(t, t.open())
	r.seal(2)
	s := newSequencer(t, t.open())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	is(t, "extend", s.ExtendLog(ctx, s.head.Term, s.extension(r.run(0, 1))), context.Canceled)
	is(t, "renew", s.RenewLease(ctx, s.head.Term), context.Canceled)
	same(t, "head", must(t.open().LogHead(t.Context()))(t), s.head)
	same(t, "log", len(must(s.ListLog(t.Context(), 0, 10))(t)), 0)
}

func logListed(t *contract) {
	one, two, three := newReplica(t, t.open()), newReplica(t, t.open()), newReplica(t, t.open())
	for _, r := range []*replica{one, two, three} {
		r.seal(12)
	}
	s := newSequencer(t, t.open())
	same(t, "empty log", len(must(s.ListLog(t.Context(), 0, 10))(t)), 0)
	s.extend(one.run(0, 4), two.run(0, 1))
	s.extend(three.run(0, 7))
	s.extend(two.run(1, 3), one.run(4, 2), three.run(7, 1))
	all := s.entries(one, two, three)
	store := t.open()
	for from := range all {
		for _, limit := range []int{0, 1, 2, 5, len(all), 1000} {
			got := must(store.ListLog(t.Context(), int64(from), limit))(t)
			same(t, fmt.Sprintf("%d from %d on", limit, from), got, all[from:min(from+limit, len(all))])
		}
	}
	for _, beyond := range []int64{int64(len(all)), int64(len(all)) + 1, 1 << 62} {
		same(t, "beyond the end", len(must(store.ListLog(t.Context(), beyond, 10))(t)), 0)
	}
	const most = int(^uint(0) >> 1)
	same(t, "all there can be", must(store.ListLog(t.Context(), 3, most))(t), all[3:])
	for _, e := range all {
		if _, err := e.Record.Entry(); err != nil {
			t.Errorf("index %d: %v", e.Index, err)
		}
	}
}

func logIndexOf(t *contract) {
	one, two := newReplica(t, t.open()), newReplica(t, t.open())
	one.seal(6)
	two.seal(6)
	s := newSequencer(t, t.open())
	s.extend(one.run(0, 2), two.run(0, 3), one.run(2, 2))
	for what, c := range map[string]struct {
		id     uuid.UUID
		number int64
	}{
		"an entry that is not in the log yet": {one.id, 4},
		"an entry that is not there":          {two.id, 1000},
		"a number below nothing":              {one.id, -1},
		"an entry of nobody":                  {uuid.New(), 0},
	} {
		if index, ok, err := t.open().IndexOf(t.Context(), c.id, c.number); err != nil || ok {
			t.Errorf("%s: index %d, error %v", what, index, err)
		}
	}
	s.listed(t.open(), one, two)
}

func logTiles(t *contract) {
	s := newSequencer(t, t.open())
	put := func(tiles ...ledger.Tile) {
		t.Helper()
		if err := s.ExtendLog(t.Context(), s.head.Term, ledger.Extension{Tiles: tiles}); err != nil {
			t.Fatal(err)
		}
	}
	const far = 1 << 40
	put(ledger.Tile{Level: 0, Index: 0, Hashes: tileOf(256)}, ledger.Tile{Level: 1, Index: 0, Hashes: tileOf(1)},
		ledger.Tile{Level: 0, Index: 1, Hashes: tileOf(3)}, ledger.Tile{Level: 2, Index: far, Hashes: tileOf(9)})
	put(ledger.Tile{Level: 0, Index: 1, Hashes: tileOf(200)})
	tile := func(level int, n int64, width int) tlog.Tile {
		return tlog.Tile{H: audit.TileHeight, L: level, N: n, W: width}
	}
	got := must(t.open().Tiles(t.Context(), []tlog.Tile{
		tile(0, 1, 3), tile(1, 0, 256), tile(0, 2, 1), tile(0, 0, 256), tile(2, far, 9), tile(0, 1, 200), tile(3, 0, 1), tile(1, 1, 1),
	}))(t)
	want := [][]byte{tileOf(200), tileOf(1), nil, tileOf(256), tileOf(9), tileOf(200), nil, nil}
	same(t, "tiles", got, want)
	for i := range got {
		if (got[i] == nil) != (want[i] == nil) {
			t.Errorf("tile %d: %v, want one to be told from none", i, got[i])
		}
	}
	same(t, "no tiles", len(must(s.Tiles(t.Context(), nil))(t)), 0)
}

// As many as a reader asks for at once.
func logOfMany(t *contract) {
	const n, runs = 1000, 100
	one, two := newReplica(t, t.open()), newReplica(t, t.open())
	one.seal(n)
	two.seal(n)
	s := newSequencer(t, t.open())
	var all []ledger.Run
	for i := range int64(runs) {
		const count = n / runs
		all = append(all, one.run(i*count, count), two.run(i*count, count))
	}
	x := s.extension(all...)
	x.Tiles = nil
	wanted := make([]tlog.Tile, n)
	for i := range wanted {
		x.Tiles = append(x.Tiles, ledger.Tile{Index: int64(i), Hashes: tileOf(1)})
		wanted[i] = tlog.Tile{H: audit.TileHeight, N: int64(n - 1 - i), W: 1}
	}
	if err := s.ExtendLog(t.Context(), s.head.Term, x); err != nil {
		t.Fatal(err)
	}
	s.runs = x.Runs
	want := s.entries(one, two)
	same(t, "log", must(t.open().ListLog(t.Context(), 500, n))(t), want[500:500+n])
	for i, hashes := range must(t.open().Tiles(t.Context(), wanted))(t) {
		if len(hashes) != tlog.HashSize {
			t.Fatalf("tile %d has %d bytes", i, len(hashes))
		}
	}
}
