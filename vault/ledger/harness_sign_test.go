package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// signer signs in memory and keeps what it signed.
type signer struct {
	note.Signer
	verifier note.Verifier

	mu     sync.Mutex
	signed []audit.Checkpoint
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	private, public, err := note.GenerateKey(nil, origin)
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

func (s *signer) Sign(ctx context.Context, text string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, err := audit.ParseCheckpoint(text)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signed = append(s.signed, c)
	return note.Sign(&note.Note{Text: text}, s.Signer)
}

func (s *signer) Keys(context.Context) ([]note.Verifier, error) {
	return []note.Verifier{s.verifier}, nil
}

// witness remembers the newest checkpoint, and cosigns what goes on from it.
type witness struct {
	note.Signer
	log note.Verifier

	mu     sync.Mutex
	newest audit.Checkpoint
	latest []byte
	down   error
}

func newWitness(t *testing.T, log note.Verifier) *witness {
	t.Helper()
	private, _, err := note.GenerateKey(nil, "witness.example.org")
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return &witness{Signer: s, log: log}
}

var errConflict = errors.New("witness: the log does not go on from what was seen")

func (w *witness) Cosign(ctx context.Context, checkpoint []byte, size int64, prove func(int64) (tlog.TreeProof, error)) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := errors.Join(ctx.Err(), w.down); err != nil {
		return nil, err
	}
	n, err := note.Open(checkpoint, note.VerifierList(w.log))
	if err != nil {
		return nil, err
	}
	c, err := audit.ParseCheckpoint(n.Text)
	if err != nil || c.Size != size || c.Size < w.newest.Size {
		return nil, errors.Join(err, errConflict)
	}
	p, err := prove(w.newest.Size)
	if err != nil {
		return nil, fmt.Errorf("prove: %w", err)
	}
	if w.newest.Size > 0 && tlog.CheckTree(p, c.Size, c.Root, w.newest.Size, w.newest.Root) != nil {
		return nil, errConflict
	}
	cosigned, err := note.Sign(n, w.Signer)
	if err != nil {
		return nil, err
	}
	w.newest, w.latest = c, cosigned
	return cosigned, nil
}

func (w *witness) Latest(ctx context.Context, _ string) ([][]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := errors.Join(ctx.Err(), w.down); err != nil || w.latest == nil {
		return nil, err
	}
	return [][]byte{w.latest}, nil
}

// fixedSigner answers with the same, whatever it is asked to sign.
type fixedSigner struct {
	*signer
	answer []byte
}

func (s *fixedSigner) Sign(context.Context, string) ([]byte, error) { return s.answer, nil }

// hungSigner does not answer the first time.
type hungSigner struct {
	*signer
	began chan struct{}
	once  sync.Once
}

func (s *hungSigner) Sign(ctx context.Context, text string) ([]byte, error) {
	s.once.Do(func() {
		close(s.began)
		<-ctx.Done()
	})
	return s.signer.Sign(ctx, text)
}
