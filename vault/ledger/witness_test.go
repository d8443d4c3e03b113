package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
)

// TestNothingIsPublishedWithoutWitnesses: it waits for them, with an alarm, and the
// newest replaces what waited.
func TestNothingIsPublishedWithoutWitnesses(t *testing.T) {
	s := newSite(t)
	w := newWitness(t, s.key.verifier)
	l := s.ledger(func(c *ledger.Config) { c.Witnesses = w })
	a := s.writer()
	a.write(3)
	s.step(l)
	w.down = errors.New("the witness is down")
	for range 10 {
		a.write(100)
		if err := l.Step(t.Context()); !errors.Is(err, w.down) {
			t.Fatalf("step: %v", err)
		}
	}
	if _, c, err := l.Checkpoint(t.Context()); err != nil || c.Size != 3 {
		t.Errorf("checkpoint of %d, %v", c.Size, err)
	}
	if s.head().Size != 1003 {
		t.Errorf("%d entries: sequencing does not wait", s.head().Size)
	}
	if s.alarms("checkpoint not published") != 1 {
		t.Errorf("%d alarms", s.alarms("checkpoint not published"))
	}
	w.down = nil
	s.step(l)
	s.checkLog(l)
	signed, c, err := l.Checkpoint(t.Context())
	if err != nil || c != w.newest || !bytes.Equal(signed, w.latest) {
		t.Errorf("checkpoint of %d, %v", c.Size, err)
	}
}

// TestSlowWitnessHoldsNothingUp: while it thinks, the log grows.
func TestSlowWitnessHoldsNothingUp(t *testing.T) {
	s := newSite(t)
	f := &faults{}
	l := s.ledger(func(c *ledger.Config) {
		c.Witnesses = newWitness(t, s.key.verifier)
		between(f, c)
	})
	extended := make(chan struct{}, 10)
	release := make(chan struct{})
	f.on(func(call string) error {
		if call == "Cosign" {
			<-release
		}
		return nil
	}, func(call string) error {
		if call == "ExtendLog" {
			extended <- struct{}{}
		}
		return nil
	})
	a := s.writer()
	a.write(1)
	done := make(chan error, 1)
	go func() { done <- l.Step(t.Context()) }()
	<-extended
	for range 2 {
		a.write(1)
		<-extended
	}
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.checkLog(l)
}

// TestStepEndsWithItsSigning: nothing is under way behind it.
func TestStepEndsWithItsSigning(t *testing.T) {
	s := newSite(t)
	key := &hungSigner{signer: s.key, began: make(chan struct{})}
	l := s.ledger(func(c *ledger.Config) { c.Signer = key })
	s.writer().write(1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Step(ctx) }()
	<-key.began
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("step: %v", err)
	}
	s.step(l)
	s.checkLog(l)
}

// TestWitnessRemembers: a database that was replaced while no replica ran is told
// by what a witness saw.
func TestWitnessRemembers(t *testing.T) {
	for name, c := range map[string]struct {
		grow  int
		words string
	}{
		"rolled back":                   {0, "rolled back from 300 to 200"},
		"rolled back and grown again":   {100, "forked"},
		"rolled back and grown further": {500, "forked"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			w := newWitness(t, s.key.verifier)
			l := s.ledger(func(c *ledger.Config) { c.Witnesses = w })
			a := s.writer()
			a.write(200)
			s.step(l)
			older := s.backup(t)
			older.writers = nil
			a.write(100)
			s.step(l)
			if c.grow > 0 {
				older.writer().write(c.grow)
				older.takeOver(older.ledger(nil))
			}
			next := older.ledger(func(c *ledger.Config) { c.Witnesses = w })
			older.halts(next, c.words)

			// A witness that is down keeps nobody down, and is asked again.
			before := s.alarms("witness not heard")
			w.down = errors.New("the witness is down")
			s.log = older.log
			next = older.ledger(func(c *ledger.Config) { c.Witnesses = w })
			older.step(next)
			if s.alarms("witness not heard") != before+1 {
				t.Error("no alarm")
			}
			w.down = nil
			s.clock.Advance(10 * time.Minute)
			err := next.Step(t.Context())
			if halted, is := errors.AsType[*ledger.HaltedError](err); !is || !strings.Contains(halted.Reason, c.words) {
				t.Errorf("step: %v", err)
			}
		})
	}
}

// TestTwinIsFoundOut: a copy of the database that goes on beside the true one, under
// the same key. The witness has seen only one of them.
func TestTwinIsFoundOut(t *testing.T) {
	s := newSite(t)
	w := newWitness(t, s.key.verifier)
	witnessed := func(c *ledger.Config) { c.Witnesses = w }
	s.writer().write(100)
	s.step(s.ledger(witnessed))
	twin := s.backup(t)
	twin.writers = nil
	late := twin.ledger(witnessed)
	twin.takeOver(late)

	s.writer().write(10)
	s.takeOver(s.ledger(witnessed))
	twin.writer().write(20)
	if err := late.Step(t.Context()); err == nil {
		t.Fatal("the twin's checkpoint was published")
	}
	s.clock.Advance(time.Minute)
	err := late.Step(t.Context())
	if halted, is := errors.AsType[*ledger.HaltedError](err); !is || !strings.Contains(halted.Reason, "forked") {
		t.Errorf("step: %v", err)
	}
}

// TestWitnessCannotHaltTheLogByItself: what the log's key did not sign proves
// nothing.
func TestWitnessCannotHaltTheLogByItself(t *testing.T) {
	s := newSite(t)
	w := newWitness(t, s.key.verifier)
	w.latest = sign(t, newSigner(t), audit.Checkpoint{Origin: origin, Size: 1000, Root: audit.Hash{1}})
	l := s.ledger(func(c *ledger.Config) { c.Witnesses = w })
	s.writer().write(3)
	s.step(l)
	s.checkLog(l)
	if s.alarms("witness not heard") != 1 {
		t.Errorf("%d alarms", s.alarms("witness not heard"))
	}
}

// TestWhatIsNotAskedForIsNotPublished: a signer or a witness that answers with
// something else.
func TestWhatIsNotAskedForIsNotPublished(t *testing.T) {
	s := newSite(t)
	other := newSigner(t)
	s.writer().write(3)
	for name, key := range map[string]*fixedSigner{
		"another key":        {s.key, sign(t, other, audit.Checkpoint{Origin: origin, Size: 3})},
		"another checkpoint": {s.key, sign(t, s.key, audit.Checkpoint{Origin: origin, Size: 2})},
		"nothing":            {s.key, nil},
	} {
		l := s.ledger(func(c *ledger.Config) { c.Signer = key })
		_ = l.Step(t.Context())
		s.clock.Advance(3 * time.Second)
		if err := l.Step(t.Context()); err == nil || s.head().Checkpoint != nil {
			t.Errorf("%s: step: %v", name, err)
		}
	}
	l := s.ledger(nil)
	s.takeOver(l)
	s.checkLog(l)
}
