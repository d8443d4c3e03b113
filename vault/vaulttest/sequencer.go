package vaulttest

import (
	"testing"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
)

// sequencer extends a log, as the replica does that has the lease. It keeps what
// the log should hold.
type sequencer struct {
	ledger.Store
	t    testing.TB
	id   uuid.UUID
	head ledger.Head
	runs []ledger.Run
}

// newSequencer takes the lease.
func newSequencer(t testing.TB, store ledger.Store) *sequencer {
	t.Helper()
	s := &sequencer{Store: store, t: t, id: uuid.New()}
	was := must(store.LogHead(t.Context()))(t)
	head, took, err := store.TakeLease(t.Context(), was, s.id)
	if err != nil || !took {
		t.Fatalf("lease: took it: %v, error %v", took, err)
	}
	s.head = head
	return s
}

// extension puts runs behind the log as it is, with a tile that names its size.
func (s *sequencer) extension(runs ...ledger.Run) ledger.Extension {
	x := ledger.Extension{Size: s.head.Size, Runs: runs}
	size := s.head.Size
	for i := range runs {
		runs[i].First = size
		size += int64(runs[i].Count)
	}
	x.Tiles = []ledger.Tile{{Level: 0, Index: 0, Hashes: tileOf(size)}}
	return x
}

// tileOf returns the hashes that tests put into the first tile of a log of a size.
func tileOf(size int64) []byte {
	var hashes []byte
	for i := range size {
		hash := audit.LeafHash([]byte{byte(i), byte(i >> 8)})
		hashes = append(hashes, hash[:]...)
	}
	return hashes
}

// firstTile returns what the log has in that tile.
func firstTile(t testing.TB, store ledger.Store) []byte {
	t.Helper()
	return must(store.Tiles(t.Context(), []tlog.Tile{{H: audit.TileHeight, L: 0, N: 0, W: 1}}))(t)[0]
}

// extend appends runs.
func (s *sequencer) extend(runs ...ledger.Run) {
	s.t.Helper()
	x := s.extension(runs...)
	if err := s.ExtendLog(s.t.Context(), s.head.Term, x); err != nil {
		s.t.Fatalf("extend: %v", err)
	}
	s.runs = append(s.runs, x.Runs...)
	s.head = must(s.LogHead(s.t.Context()))(s.t)
}

// drop drops entries.
func (s *sequencer) drop(first int64, limit int) int64 {
	s.t.Helper()
	now := must(s.DropEntries(s.t.Context(), s.head.Term, first, limit))(s.t)
	s.head = must(s.LogHead(s.t.Context()))(s.t)
	return now
}

// run is count entries of the replica's chain from number on; extension gives it
// its place.
func (r *replica) run(number int64, count int) ledger.Run {
	return ledger.Run{Replica: r.id, Number: number, Count: count, Head: r.head(number + int64(max(count, 1)) - 1)}
}

// head returns the leaf hash of an entry of the replica's chain.
func (r *replica) head(number int64) audit.Hash { return audit.LeafHash(r.sealed[number].Body) }

// entries returns the log as it should be.
func (s *sequencer) entries(replicas ...*replica) []ledger.Entry {
	chains := map[uuid.UUID][]audit.Record{}
	for _, r := range replicas {
		chains[r.id] = r.sealed
	}
	var all []ledger.Entry
	for _, run := range s.runs {
		for i := range int64(run.Count) {
			e := ledger.Entry{Index: run.First + i, Record: audit.Record{Replica: run.Replica, Number: run.Number + i}}
			if e.Index >= s.head.First {
				e.Record = chains[run.Replica][e.Record.Number]
			}
			all = append(all, e)
		}
	}
	return all
}

// listed compares what a store has with what was appended.
func (s *sequencer) listed(store ledger.Store, replicas ...*replica) {
	s.t.Helper()
	want := s.entries(replicas...)
	same(s.t, "log", must(store.ListLog(s.t.Context(), 0, 10_000))(s.t), want)
	for _, e := range want {
		index, ok, err := store.IndexOf(s.t.Context(), e.Record.Replica, e.Record.Number)
		if err != nil || !ok || index != e.Index {
			s.t.Errorf("index of number %d of %s: %d, %v, error %v, want %d",
				e.Record.Number, e.Record.Replica, index, ok, err, e.Index)
		}
	}
}
