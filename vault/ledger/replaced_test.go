package ledger_test

import (
	"testing"

	"github.com/cardvault/cardvault/vault/ledger"
)

// TestSignedTooLate: while a sequencer sleeps, with a checkpoint at the signer, another
// takes over, goes on and gives the lease back. The sleeper takes it anew. Its
// checkpoint is older than the one that is published by then: put in its place, it
// would halt every replica.
func TestSignedTooLate(t *testing.T) {
	s := newSite(t)
	f := &faults{}
	sleeper := s.ledger(func(c *ledger.Config) { between(f, c) })
	other, watcher := s.ledger(nil), s.ledger(nil)
	w := s.writer()
	w.write(10)
	signed := make(chan struct{})
	looks, signs := 0, 0
	f.on(func(call string) error {
		switch call {
		case "LogHead":
			if looks++; looks == 2 {
				s.takeOver(other)
				w.write(10)
				s.step(other)
				s.step(watcher)
				if err := other.Resign(t.Context()); err != nil {
					t.Error(err)
				}
				close(signed)
			}
		case "Sign":
			if signs++; signs == 1 {
				<-signed
			}
		}
		return nil
	}, func(call string) error {
		if call == "Publish" {
			s.step(watcher)
		}
		return nil
	})
	s.step(sleeper)
	for _, l := range []*ledger.Ledger{sleeper, watcher, other} {
		s.step(l)
		s.checkLog(l)
	}
	w.write(1)
	s.step(sleeper)
	s.step(watcher)
	s.checkLog(watcher)
}
