package ledger_test

import (
	"context"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/vault/ledger"
)

func (s *signer) FreshKeys(ctx context.Context) ([]note.Verifier, error) { return s.Keys(ctx) }

// lateSigner does not know its newest key yet, unless it looks.
type lateSigner struct {
	*signer
	known []note.Verifier
	fault error
}

func (s *lateSigner) Keys(context.Context) ([]note.Verifier, error) { return s.known, nil }

func (s *lateSigner) FreshKeys(ctx context.Context) ([]note.Verifier, error) {
	if s.fault != nil {
		return nil, s.fault
	}
	return s.signer.Keys(ctx)
}

// TestKeyThatTookOverAtOnce: a replica that knows only the key of before sees a
// checkpoint by the new one alone. It looks for the key, and halts for none that it
// cannot read.
func TestKeyThatTookOverAtOnce(t *testing.T) {
	s := newSite(t)
	before := newSigner(t)
	key := &lateSigner{signer: s.key, known: []note.Verifier{before.verifier}, fault: errInjected}
	watcher := s.ledger(func(c *ledger.Config) { c.Signer = key })
	s.writer().write(1)
	s.step(s.ledger(nil))
	if err := watcher.Step(t.Context()); err == nil || watcher.Err() != nil {
		t.Fatalf("step without keys: %v, halted: %v", err, watcher.Err())
	}
	key.fault = nil
	s.step(watcher)
	s.checkLog(watcher)
}
