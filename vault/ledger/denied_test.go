package ledger_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
)

// TestDeniedKeyIsNoForgery: a sequencer died with its last entries unsigned, and the KEK
// denies the next one the chains' keys, as where its policy was cut. It signs nothing,
// and goes on where it may again.
func TestDeniedKeyIsNoForgery(t *testing.T) {
	s := newSite(t)
	f := &faults{}
	dying := s.ledger(func(c *ledger.Config) { between(f, c) })
	s.writer().write(5)
	f.on(failing("Sign", 0), nil)
	if err := dying.Step(t.Context()); err == nil {
		t.Fatal("it was signed")
	}
	denied := true
	l := s.ledger(func(c *ledger.Config) {
		c.Verify = func(ctx context.Context, tail audit.Tail) error {
			if denied {
				return fmt.Errorf("transit: %w", keyring.ErrDenied)
			}
			return verifySeal(ctx, tail)
		}
	})
	s.step(l)
	s.clock.Advance(3 * time.Second)
	if err := l.Step(t.Context()); err == nil || l.Err() != nil {
		t.Fatalf("step: %v, halted: %v", err, l.Err())
	}
	if head := s.head(); head.Size != 5 || head.Checkpoint != nil {
		t.Errorf("head %+v", head)
	}
	denied = false
	s.step(l)
	s.checkLog(l)
}
