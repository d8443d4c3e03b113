package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cardvault/cardvault/vault/ledger"
)

// steps are all calls that a step can die in, or fail at.
var steps = []string{
	"Latest", "LogHead", "Tiles", "Keys", "TakeLease", "RenewLease", "IndexOf", "ListLog", "ChainTail",
	"ListGrown", "ChainRecords", "ExtendLog", "Sign", "Cosign", "Publish",
}

// story is what a sequencer meets in its life: a stretch that nobody signed, new
// and old chains, a tile that gets full, and a lease to renew.
func story(s *site, l *ledger.Ledger) (failed bool) {
	step := func() {
		err := l.Step(s.t.Context())
		if err != nil && !errors.Is(err, errInjected) {
			s.t.Errorf("step: %v", err)
		}
		failed = failed || err != nil
	}
	step()
	s.clock.Advance(3 * time.Second)
	step()
	for _, n := range []int{1, 3, 30} {
		s.writers[0].write(n)
		s.writer().write(2)
		s.clock.Advance(1100 * time.Millisecond)
		step()
	}
	return failed
}

// leaveBehind has a sequencer die after it extended the log and before it
// published.
func leaveBehind(s *site, w ledger.Witnesses) {
	s.t.Helper()
	f := &faults{}
	l := s.ledger(func(c *ledger.Config) { c.Witnesses = w; between(f, c) })
	s.writer().write(200)
	s.step(l)
	s.writers[0].write(54)
	s.writer().write(1)
	f.on(failing("Publish", 0), nil)
	if err := l.Step(s.t.Context()); !errors.Is(err, errInjected) {
		s.t.Fatalf("step: %v", err)
	}
}

// TestDyingAtEachStep fails each call, before it does anything or after it did all:
// once or for good, the replica then going on or dying. A new one finishes the
// work.
func TestDyingAtEachStep(t *testing.T) {
	for _, call := range steps {
		for _, when := range []string{"before", "after"} {
			for nth := range 3 { // 0: every time
				t.Run(fmt.Sprintf("%s/%s/%d", call, when, nth), func(t *testing.T) {
					s := newSite(t)
					w := newWitness(t, s.key.verifier)
					leaveBehind(s, w)
					f := &faults{}
					l := s.ledger(func(c *ledger.Config) { c.Witnesses = w; between(f, c) })
					if when == "before" {
						f.on(failing(call, nth), nil)
					} else {
						f.on(nil, failing(call, nth))
					}
					failed := story(s, l)
					if f.count(call) == 0 {
						t.Fatal("the story has no such step")
					}
					if call != "Latest" && f.count(call) >= nth && !failed {
						t.Error("no step failed")
					}
					f.on(nil, nil)
					if nth > 0 { // it lives on
						s.writers[1].write(1)
						s.clock.Advance(time.Minute)
						s.step(l)
						s.checkLog(l)
					}
					next := s.ledger(func(c *ledger.Config) { c.Witnesses = w })
					s.writers[0].write(5)
					s.takeOver(next)
					s.checkLog(next)
					if err := l.Err(); err != nil {
						t.Errorf("halted: %v", err)
					}
				})
			}
		}
	}
}

// TestPausedSequencerIsFencedOut holds a sequencer up in each call, before or after
// the call does its work, until another has taken over and gone on. When it wakes it
// changes nothing.
func TestPausedSequencerIsFencedOut(t *testing.T) {
	for _, call := range steps {
		for _, when := range []string{"before", "after"} {
			t.Run(call+"/"+when, func(t *testing.T) {
				s := newSite(t)
				w := newWitness(t, s.key.verifier)
				leaveBehind(s, w)
				s.writers[1].write(2)
				f := &faults{}
				paused := s.ledger(func(c *ledger.Config) { c.Witnesses = w; between(f, c) })
				hold, held, release := holding(t, call)
				if when == "before" {
					f.on(hold, nil)
				} else {
					f.on(nil, hold)
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					_ = paused.Step(t.Context())
					s.clock.Advance(3 * time.Second)
					_ = paused.Step(t.Context())
					s.clock.Advance(1100 * time.Millisecond)
					_ = paused.Step(t.Context())
				}()
				select {
				case <-held:
				case <-done:
					t.Fatal("the call was not made")
				}
				next := s.ledger(func(c *ledger.Config) { c.Witnesses = w })
				s.writers[0].write(30)
				s.takeOver(next)
				s.writers[1].write(3)
				s.step(next)
				before := s.head()
				if before.Size != 290 {
					t.Fatalf("%d entries", before.Size)
				}
				f.on(nil, nil)
				release()
				<-done
				after := s.head()
				if after.Size != before.Size || !bytes.Equal(after.Checkpoint, before.Checkpoint) {
					t.Errorf("the log changed: %+v, %+v", before, after)
				}
				s.writers[0].write(1)
				s.takeOver(next)
				s.step(paused)
				s.checkLog(next)
				s.checkLog(paused)
			})
		}
	}
}

// TestLateWritesAreFencedOut lets writes arrive long after the sequencer gave them
// up, and went on.
func TestLateWritesAreFencedOut(t *testing.T) {
	for _, call := range []string{"ExtendLog", "Publish"} {
		t.Run(call, func(t *testing.T) {
			s := newSite(t)
			a := s.writer()
			late := &late{call: call}
			l := s.ledger(func(c *ledger.Config) { late.Store, c.Store = c.Store, late })
			a.write(3)
			if err := l.Step(t.Context()); !errors.Is(err, errInjected) {
				t.Fatalf("step: %v", err)
			}
			for range 3 {
				a.write(3)
				s.step(l)
			}
			if err := late.arrive(t.Context()); !errors.Is(err, ledger.ErrFenced) {
				t.Errorf("late %s: %v", call, err)
			}
			a.write(3)
			s.step(l)
			s.checkLog(l)
		})
	}
}
