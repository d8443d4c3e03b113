package ledger_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/ledger"
)

// TestProofsHoldElsewhere verifies proofs of a growing log with another
// implementation.
func TestProofsHoldElsewhere(t *testing.T) {
	s := newSite(t)
	l := s.ledger(nil)
	a, b := s.writer(), s.writer()
	roots := map[int64][]byte{}
	var sizes []int64
	for _, n := range []int{1, 1, 5, 248, 1, 1, 255, 300, 70} {
		a.write(n)
		b.write(1)
		s.step(l)
		_, c, err := l.Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		roots[c.Size] = c.Root[:]
		sizes = append(sizes, c.Size)
		for _, w := range s.writers {
			for _, number := range []int64{0, w.chain.Len() / 2, w.chain.Len() - 1} {
				checkProof(s, l, w, number, c.Root[:])
			}
		}
	}
	for i, first := range sizes {
		for _, second := range sizes[i:] {
			p, err := l.ProveConsistency(t.Context(), first, second)
			if err != nil {
				t.Fatalf("from %d to %d: %v", first, second, err)
			}
			err = proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(first), uint64(second), flat(p), roots[first], roots[second])
			if err != nil {
				t.Errorf("from %d to %d: %v", first, second, err)
			}
		}
	}
}

func checkProof(s *site, l *ledger.Ledger, w *writer, number int64, root []byte) {
	s.t.Helper()
	ctx := s.t.Context()
	index, err := l.IndexOf(ctx, w.id, number)
	if err != nil {
		s.t.Fatalf("number %d: %v", number, err)
	}
	e, err := l.EntryAt(ctx, index)
	if err != nil || !bytes.Equal(e.Record.Body, w.bodies[number]) {
		s.t.Fatalf("entry %d: %v", index, err)
	}
	p, err := l.ProveEntry(ctx, index)
	if err != nil {
		s.t.Fatalf("prove %d: %v", index, err)
	}
	c, err := p.Verify(w.bodies[number], s.key.verifier)
	if err != nil || !bytes.Equal(c.Root[:], root) {
		s.t.Fatalf("proof of %d: %v", index, err)
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(w.bodies[number])
	err = proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(c.Size), leaf, flat(p.Hashes), root)
	if err != nil {
		s.t.Errorf("proof of %d in %d: %v", index, c.Size, err)
	}
}

func flat[S ~[]tlog.Hash](hashes S) [][]byte {
	all := make([][]byte, len(hashes))
	for i, h := range hashes {
		all[i] = h[:]
	}
	return all
}

func TestWhatIsNotThere(t *testing.T) {
	s := newSite(t)
	l := s.ledger(nil)
	ctx := t.Context()
	id := uuid.New()
	ask := map[string]func() error{
		"Checkpoint":       func() error { _, _, err := l.Checkpoint(ctx); return err },
		"EntryAt":          func() error { _, err := l.EntryAt(ctx, 0); return err },
		"IndexOf":          func() error { _, err := l.IndexOf(ctx, id, 0); return err },
		"ProveEntry":       func() error { _, err := l.ProveEntry(ctx, 0); return err },
		"ProveConsistency": func() error { _, err := l.ProveConsistency(ctx, 0, 0); return err },
		"Read": func() error {
			for _, err := range l.Read(ctx, 0, 0, false) {
				return err
			}
			return nil
		},
	}
	for what, f := range ask {
		if err := f(); !errors.Is(err, ledger.ErrNoCheckpoint) {
			t.Errorf("%s of an empty log: %v", what, err)
		}
	}
	w := s.writer()
	w.write(3)
	s.step(l)
	f := &faults{}
	behind := s.ledger(func(c *ledger.Config) { between(f, c) })
	s.takeOver(behind)
	f.on(failing("Sign", 0), nil)
	w.write(2)
	_ = behind.Step(ctx)
	if s.head().Size != 5 {
		t.Fatal("nothing is unsigned")
	}
	for what, err := range map[string]error{
		"EntryAt -1":             second(behind.EntryAt(ctx, -1)),
		"EntryAt beyond":         second(behind.EntryAt(ctx, 3)),
		"IndexOf beyond":         second(behind.IndexOf(ctx, w.id, 3)),
		"IndexOf of nobody":      second(behind.IndexOf(ctx, id, 0)),
		"ProveEntry beyond":      second(behind.ProveEntry(ctx, 3)),
		"ProveEntry -1":          second(behind.ProveEntry(ctx, -1)),
		"ProveConsistency 1 4":   second(behind.ProveConsistency(ctx, 1, 4)),
		"ProveConsistency 3 2":   second(behind.ProveConsistency(ctx, 3, 2)),
		"ProveConsistency -1 2":  second(behind.ProveConsistency(ctx, -1, 2)),
		"ProveConsistency -1 -1": second(behind.ProveConsistency(ctx, -1, -1)),
	} {
		if !errors.Is(err, ledger.ErrNoEntry) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := len(s.readAll(behind)); got != 3 {
		t.Errorf("read %d entries, 3 are covered", got)
	}
	f.on(nil, nil)
	s.step(behind)
	s.checkLog(behind)
	// A replica that has not stepped looks before it answers.
	s.checkLog(s.ledger(nil))
}

func second[T any](_ T, err error) error { return err }
