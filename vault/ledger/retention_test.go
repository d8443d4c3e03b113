package ledger_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
)

const year = 365 * 24 * time.Hour

// kept is a ledger that drops after a year. What it records goes into a chain.
func kept(s *site, w *writer, f *faults) *ledger.Ledger {
	return s.ledger(func(c *ledger.Config) {
		between(f, c)
		c.Retention = year
		c.Record = func(_ context.Context, e audit.Entry) (uuid.UUID, int64, error) {
			err := f.around("Record", func() error { //nolint:contextcheck // writers have no context
				kept := w.entry
				defer func() { w.entry = kept }()
				w.entry = e
				w.write(1)
				return nil
			})
			return w.id, int64(len(w.bodies)) - 1, err
		}
	})
}

// TestRetentionDropsWholeBundles that are old enough, says so first, and keeps every
// proof.
func TestRetentionDropsWholeBundles(t *testing.T) {
	s := newSite(t)
	a := s.writer()
	f := &faults{}
	a.write(1500)
	s.clock.Advance(24 * time.Hour)
	a.write(500)
	l := kept(s, a, f)
	s.step(l)
	s.clock.Advance(year - 24*time.Hour)
	s.step(l)
	if s.head().First != 0 {
		t.Error("entries were dropped on the day")
	}
	s.clock.Advance(time.Minute)
	s.step(l) // 1500 entries are older than a year: five bundles
	if first := s.head().First; first != 0 || len(a.bodies) != 2001 {
		t.Fatalf("the first entry is %d before the log says why", first)
	}
	s.step(l)
	if first := s.head().First; first != 1280 {
		t.Fatalf("the first entry is %d", first)
	}
	s.step(l)
	last, err := audit.Parse(a.bodies[len(a.bodies)-1])
	if err != nil || last.Action != "PruneLog" || last.Index != 1280 || int64(last.Count) != 1280 || last.Decision != audit.Allow || last.Result != "OK" {
		t.Errorf("recorded: %+v, %v", last, err)
	}
	if len(a.bodies) != 2001 {
		t.Errorf("%d entries", len(a.bodies))
	}
	next := int64(0)
	for batch, err := range l.Read(t.Context(), 0, 0, false) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch.Entries {
			if (e.Body == nil) != (next < 1280) || e.Hash() != audit.LeafHash(a.bodies[next]) || e.Index != next {
				t.Fatalf("entry %d: index %d, body of %d", next, e.Index, len(e.Body))
			}
			next++
		}
	}
	if next != 2001 {
		t.Errorf("%d entries", next)
	}
	if _, err := l.EntryAt(t.Context(), 1279); !errors.Is(err, ledger.ErrDropped) {
		t.Errorf("dropped entry: %v", err)
	}
	if index, err := l.IndexOf(t.Context(), a.id, 7); index != 7 || err != nil {
		t.Errorf("index of a dropped entry: %d, %v", index, err)
	}
	p, err := l.ProveEntry(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Verify(a.bodies[7], s.key.verifier); err != nil {
		t.Errorf("proof of a dropped entry: %v", err)
	}
	// A new replica goes on from there: its chain's last entry may be a dropped one.
	s.clock.Advance(2 * year)
	l = kept(s, s.writer(), f)
	s.takeOver(l)
	s.step(l)
	if first := s.head().First; first != 1792 {
		t.Errorf("the first entry is %d", first)
	}
	a.write(3)
	s.step(l)
	if got := s.head().Size; got != 2005 {
		t.Errorf("%d entries", got)
	}
	if l.Err() != nil || s.alarms("retention not applied") != 0 || s.alarms("audit log altered") != 0 {
		t.Errorf("halted: %v, or alarms", l.Err())
	}
}

// TestRetentionDropsNothingUnsaid: where it cannot be recorded, is not covered yet
// or not what was hashed, everything stays.
func TestRetentionDropsNothingUnsaid(t *testing.T) {
	for name, hinder := range map[string]func(s *site, f *faults){
		"not recorded":      func(_ *site, f *faults) { f.on(failing("Record", 0), nil) },
		"not published":     func(_ *site, f *faults) { f.on(failing("Sign", 0), nil) },
		"said, not covered": func(_ *site, f *faults) { f.on(failing("Sign", 0), nil) },
		"made older": func(s *site, _ *faults) {
			s.clock.Advance(-2 * time.Minute)
			s.edit("UPDATE audit_entries SET time = 1")
		},
		"body edited": func(s *site, _ *faults) {
			s.edit("UPDATE audit_entries SET body = CAST(replace(body, '2026', '2020') AS BLOB) WHERE number = 100")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			a := s.writer()
			f := &faults{}
			a.write(600)
			l := kept(s, a, f)
			if name == "not published" {
				hinder(s, f)
			}
			_ = l.Step(t.Context())
			s.clock.Advance(year + time.Minute)
			if name != "not published" {
				hinder(s, f)
			}
			for range 10 {
				_ = l.Step(t.Context())
				s.clock.Advance(time.Second)
			}
			said := len(a.bodies) - 600
			if name == "said, not covered" {
				said--
			}
			if s.head().First != 0 || said != 0 || f.count("DropEntries") != 0 {
				t.Errorf("dropped up to %d", s.head().First)
			}
		})
	}
}

// TestRetentionDies after it said what it would drop, or amid dropping it: the next
// says it again, and drops the rest.
func TestRetentionDies(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		for nth := 1; nth <= 2; nth++ {
			s := newSite(t)
			a := s.writer()
			f := &faults{}
			a.write(2100)
			l := kept(s, a, f)
			s.step(l)
			s.clock.Advance(year + time.Minute)
			if when == "before" {
				f.on(failing("DropEntries", nth), nil)
			} else {
				f.on(nil, failing("DropEntries", nth))
			}
			s.step(l)
			s.step(l)
			if when == "before" && nth == 1 && s.head().First != 0 {
				t.Error("dropped before it was done")
			}
			l = kept(s, a, &faults{})
			s.takeOver(l)
			s.step(l)
			s.step(l)
			if s.head().First != 2048 {
				t.Errorf("%s %d: the first entry is %d", when, nth, s.head().First)
			}
			if l.Err() != nil {
				t.Error(l.Err())
			}
		}
	}
}

func TestPausedSequencerDropsNothing(t *testing.T) {
	s := newSite(t)
	a := s.writer()
	f := &faults{}
	a.write(600)
	paused := kept(s, a, f)
	s.step(paused)
	s.clock.Advance(year + time.Minute)
	s.step(paused)
	hold, held, release := holding(t, "DropEntries")
	f.on(hold, nil)
	done := make(chan error, 1)
	go func() { done <- paused.Step(t.Context()) }()
	<-held
	next := s.ledger(nil) // one that keeps everything
	s.takeOver(next)
	release()
	if err := <-done; err != nil {
		t.Errorf("step: %v", err)
	}
	if s.head().First != 0 {
		t.Errorf("dropped up to %d", s.head().First)
	}
	s.checkLog(next)
}
