package ledger_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
)

// TestSlowSealsLoseNoLease: the KEK takes its time to say that it has no answer, for
// each of many chains. The sequencer lives, and nobody takes its place.
func TestSlowSealsLoseNoLease(t *testing.T) {
	s := newSite(t)
	other := s.ledger(nil)
	down := true
	l := s.ledger(func(c *ledger.Config) {
		c.Verify = func(ctx context.Context, tail audit.Tail) error {
			s.clock.Advance(1500 * time.Millisecond)
			s.step(other) //nolint:contextcheck // steps of a test end with it
			if down {
				return keyring.ErrUnavailable
			}
			return verifySeal(ctx, tail)
		}
	})
	for range 6 {
		s.writer().write(1)
	}
	if err := l.Step(t.Context()); !errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("step: %v", err)
	}
	down = false
	s.step(l)
	if head := s.head(); head.Term != 1 {
		t.Errorf("term %d", head.Term)
	}
	s.checkLog(l)
}
