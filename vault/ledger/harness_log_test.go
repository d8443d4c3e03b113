package ledger_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
)

// checkLog checks all that the log promises, by what is in the store and what the
// writers wrote: every entry once, in the order of its chain, under a checkpoint that
// verifies; and that every checkpoint ever signed is of a tree that this one begins
// with.
func (s *site) checkLog(l *ledger.Ledger) {
	s.t.Helper()
	t := s.t
	signed, c, err := l.Checkpoint(t.Context())
	if err != nil {
		t.Fatalf("checkpoint: %v", err)
	}
	if got, err := audit.OpenCheckpoint(signed, s.key.verifier); err != nil || got != c {
		t.Fatalf("checkpoint: %+v, %v", got, err)
	}
	want := 0
	next := map[uuid.UUID]int64{}
	for _, w := range s.writers {
		want += len(w.bodies)
		next[w.id] = 0
	}
	if int(c.Size) != want {
		t.Fatalf("log of %d entries, want %d", c.Size, want)
	}
	bodies := s.readAll(l)
	var hashes []tlog.Hash
	roots := []audit.Hash{rootOf(t, 0, nil)}
	for i, body := range bodies {
		e, err := audit.Parse(body)
		if err != nil {
			t.Fatal(err)
		}
		w := s.writers[slices.IndexFunc(s.writers, func(w *writer) bool { return w.id == e.Replica })]
		if e.Number != next[w.id] || !bytes.Equal(body, w.bodies[e.Number]) {
			t.Fatalf("index %d: number %d of %s, want %d", i, e.Number, w.id, next[w.id])
		}
		next[w.id]++
		if hashes, err = appendHashes(hashes, int64(i), body); err != nil {
			t.Fatal(err)
		}
		roots = append(roots, rootOf(t, int64(i+1), hashes))
	}
	s.key.mu.Lock()
	defer s.key.mu.Unlock()
	for _, c := range s.key.signed {
		if int(c.Size) >= len(roots) || roots[c.Size] != c.Root {
			t.Errorf("a checkpoint was signed that the log does not begin with: %+v", c)
		}
	}
	if roots[len(roots)-1] != c.Root {
		t.Error("the checkpoint has another root than its entries")
	}
}

func appendHashes(hashes []tlog.Hash, i int64, body []byte) ([]tlog.Hash, error) {
	more, err := tlog.StoredHashes(i, body, stored(hashes))
	return append(hashes, more...), err
}

func stored(hashes []tlog.Hash) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var found []tlog.Hash
		for _, i := range indexes {
			found = append(found, hashes[i])
		}
		return found, nil
	})
}

func rootOf(t *testing.T, n int64, hashes []tlog.Hash) audit.Hash {
	t.Helper()
	root, err := tlog.TreeHash(n, stored(hashes))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// readAll returns the bodies that readers get.
func (s *site) readAll(l *ledger.Ledger) [][]byte {
	s.t.Helper()
	var bodies [][]byte
	for batch, err := range l.Read(s.t.Context(), 0, 0, false) {
		if err != nil {
			s.t.Fatalf("read: %v", err)
		}
		if len(batch.Entries) > 1000 {
			s.t.Fatalf("a batch of %d", len(batch.Entries))
		}
		for _, e := range batch.Entries {
			if e.Index != int64(len(bodies)) {
				s.t.Fatalf("index %d after %d entries", e.Index, len(bodies))
			}
			bodies = append(bodies, e.Body)
		}
	}
	return bodies
}
