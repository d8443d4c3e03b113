package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/cardvault/cardvault/vault/audit"
)

// TestReadWithin reads parts of the log, at the borders of tiles and batches.
func TestReadWithin(t *testing.T) {
	s := newSite(t)
	l := s.ledger(nil)
	s.writer().write(2500)
	s.step(l)
	for _, r := range []struct{ from, to, end int64 }{
		{0, 0, 2500},
		{0, 1, 1},
		{255, 257, 257},
		{999, 1001, 1001},
		{1000, 2000, 2000},
		{2499, 0, 2500},
		{2499, 9999, 2500},
		{2500, 0, 2500},
		{2500, 2600, 2500},
		{3000, 0, 3000},
		{5, 5, 5},
	} {
		next := r.from
		for batch, err := range l.Read(t.Context(), r.from, r.to, false) {
			if err != nil {
				t.Fatalf("%+v: %v", r, err)
			}
			if (batch.Checkpoint != nil) != (next == r.from) {
				t.Errorf("%+v: checkpoint in the batch at %d: %v", r, next, batch.Checkpoint != nil)
			}
			for _, e := range batch.Entries {
				if e.Index != next || e.Hash() != audit.LeafHash(s.writers[0].bodies[next]) || e.Leaf != (audit.Hash{}) {
					t.Fatalf("%+v: index %d, want %d", r, e.Index, next)
				}
				next++
			}
		}
		if next != r.end {
			t.Errorf("%+v: ended at %d", r, next)
		}
	}
}

// TestReadFollows reads on as checkpoints come, each told once, until the reader
// leaves.
func TestReadFollows(t *testing.T) {
	s := newSite(t)
	l := s.ledger(nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	batches := make(chan audit.Batch)
	ended := make(chan error, 1)
	go func() {
		var last error
		for batch, err := range l.Read(ctx, 0, 0, true) {
			if last = err; err == nil {
				batches <- batch
			}
		}
		ended <- last
	}()
	w := s.writer()
	var got [][]byte
	for range 5 {
		w.write(300)
		s.step(l)
		batch := <-batches
		c, err := audit.OpenCheckpoint(batch.Checkpoint, s.key.verifier)
		if err != nil || c.Size != int64(len(w.bodies)) {
			t.Fatalf("checkpoint: %+v, %v", c, err)
		}
		for _, e := range batch.Entries {
			got = append(got, e.Body)
		}
	}
	if len(got) != 1500 || !bytes.Equal(bytes.Join(got, nil), bytes.Join(w.bodies, nil)) {
		t.Errorf("%d entries", len(got))
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

func TestReadEndsWhereTheLogHalts(t *testing.T) {
	s := newSite(t)
	l := s.ledger(nil)
	s.writer().write(10)
	s.step(l)
	ended := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		var last error
		for _, err := range l.Read(t.Context(), 0, 20, true) {
			if last = err; err == nil {
				close(begun)
			}
		}
		ended <- last
	}()
	<-begun
	s.edit("UPDATE log_head SET size = 3, checkpoint = NULL")
	s.halts(l, "rolled back")
	if err := <-ended; !errors.Is(err, l.Err()) {
		t.Errorf("ended with %v", err)
	}
}

func TestBatchesAreBoundedInBytes(t *testing.T) {
	s := newSite(t)
	l := s.ledger(nil)
	w := s.writer()
	w.entry = audit.Entry{Principal: strings.Repeat("\x01", 2048), Action: "Test"}
	w.write(300)
	s.step(l)
	next := int64(0)
	for batch, err := range l.Read(t.Context(), 0, 0, false) {
		if err != nil {
			t.Fatal(err)
		}
		bytes := 0
		for _, e := range batch.Entries {
			bytes += len(e.Body)
			if e.Index != next {
				t.Fatalf("index %d, want %d", e.Index, next)
			}
			next++
		}
		if bytes > 1<<20 {
			t.Errorf("%d bytes", bytes)
		}
	}
	if next != 300 {
		t.Errorf("%d entries", next)
	}
}

// TestRunFollowsAndEnds is Step as Run does it.
func TestRunFollowsAndEnds(t *testing.T) {
	s := newSite(t)
	l := s.ledger(nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Run(ctx)
	}()
	s.writer().write(1001)
	var got int64
	for batch, err := range l.Read(t.Context(), 0, 1001, true) {
		if err != nil {
			t.Fatal(err)
		}
		got += int64(len(batch.Entries))
	}
	if got != 1001 {
		t.Errorf("%d entries", got)
	}
	cancel()
	<-done
	s.writers[0].write(1) // as a replica does when it ends
	s.step(l)
	s.checkLog(l)
}
