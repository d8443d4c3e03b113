package ledger_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/vault/ledger"
)

// renamed is a signer of another origin.
func renamed(t *testing.T, name string) *signer {
	t.Helper()
	private, public, err := note.GenerateKey(nil, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{Signer: s, verifier: v}
}

// TestRestoredLogGoesOnUnderAnotherName: a backup is the beginning of a new log, with
// entries that were dropped before. The old log's checkpoint says what they were.
func TestRestoredLogGoesOnUnderAnotherName(t *testing.T) {
	const second = origin + "/2"
	s := newSite(t)
	a := s.writer()
	a.write(600)
	l := kept(s, a, &faults{})
	s.step(l)
	s.clock.Advance(year + time.Minute)
	for range 3 {
		s.step(l)
	}
	if s.head().First != 512 {
		t.Fatalf("the first entry is %d", s.head().First)
	}
	older := s.backup(t)
	older.writers = nil
	key := renamed(t, second)
	under := func(predecessor ledger.Keys) func(*ledger.Config) {
		return func(c *ledger.Config) { c.Signer, c.Origin, c.Predecessor = key, second, predecessor }
	}

	// Nobody takes another log for its own by accident.
	err := older.ledger(under(nil)).Step(t.Context())
	if halted, is := errors.AsType[*ledger.HaltedError](err); !is || !strings.Contains(halted.Reason, "not signed") {
		t.Errorf("without a predecessor: %v", err)
	}
	err = older.ledger(under(renamed(t, origin))).Step(t.Context())
	if halted, is := errors.AsType[*ledger.HaltedError](err); !is || !strings.Contains(halted.Reason, "not signed") {
		t.Errorf("with a predecessor of another key: %v", err)
	}

	next := older.ledger(under(s.key))
	older.step(next)
	if _, _, err := next.Checkpoint(t.Context()); !errors.Is(err, ledger.ErrNoCheckpoint) {
		t.Errorf("the old log's checkpoint is shown: %v", err)
	}
	older.writer().write(10)
	older.takeOver(next)
	signed, c, err := next.Checkpoint(t.Context())
	if err != nil || c.Origin != second || c.Size != older.head().Size {
		t.Fatalf("checkpoint %+v, %v", c, err)
	}
	if !strings.HasPrefix(string(signed), second+"\n") {
		t.Errorf("signed: %s", signed)
	}
	older.step(older.ledger(under(nil))) // from now on it is its own

	// Who knows the new log does not go back to the old one.
	older.edit("UPDATE log_head SET checkpoint = ?", s.head().Checkpoint)
	if err := next.Step(t.Context()); err == nil || next.Err() == nil {
		t.Errorf("the old log's checkpoint is taken again: %v", err)
	}
}

func TestMoreDroppedThanThereIs(t *testing.T) {
	s := newSite(t)
	l := s.ledger(nil)
	s.writer().write(3)
	s.step(l)
	s.edit("UPDATE log_head SET first = 4")
	if err := l.Step(t.Context()); err == nil || l.Err() == nil {
		t.Errorf("step: %v", err)
	}
}
