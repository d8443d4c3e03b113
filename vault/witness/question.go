package witness

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// question is one checkpoint that witnesses are asked about.
type question struct {
	client *Client
	keys   []note.Verifier
	note   []byte
	ours   signed
	proofs *prover
}

// put asks one witness whose turn is held. "If a client doesn't have information on
// the latest cosigned checkpoint, it MAY initially make a request with a old size of
// zero to obtain it." (C2SP tlog-witness)
func (q *question) put(ctx context.Context, p *peer) ([]string, error) {
	lines, err := q.post(ctx, p, min(p.size, q.ours.Size))
	if told, ok := errors.AsType[*conflictError](err); ok {
		p.size = told.size
		if told.size <= q.ours.Size {
			lines, err = q.post(ctx, p, told.size)
		}
	}
	if err != nil {
		return nil, q.explain(ctx, p, err)
	}
	p.size = q.ours.Size
	return lines, nil
}

func (q *question) post(ctx context.Context, p *peer, old int64) ([]string, error) {
	proof, err := q.proofs.from(old, q.ours.Size)
	if err != nil {
		return nil, err
	}
	r := request{old: old, proof: proof, checkpoint: q.note}
	return p.post(ctx, q.client.web, r, q.ours.text)
}

// explain looks behind a refusal that a forked log would meet: 409 with a size that
// the log does not have, or 422 to a proof. The witness is asked for the evidence. If
// it has none the refusal is a failure like any other, its own.
func (q *question) explain(ctx context.Context, p *peer, refusal error) error {
	status, answered := errors.AsType[*statusError](refusal)
	_, conflict := errors.AsType[*conflictError](refusal)
	if !conflict && !(answered && status.status == http.StatusUnprocessableEntity) {
		return refusal
	}
	seen, evidence, err := q.client.latest(ctx, p, q.ours.Origin, q.keys)
	if err != nil {
		return fmt.Errorf("%w: %w; %w", ErrDisputed, refusal, err)
	}
	same, err := q.extends(seen)
	if err != nil {
		return fmt.Errorf("%w: %w; %w", ErrDisputed, refusal, err)
	}
	if same {
		return fmt.Errorf("%w: %w, and shows a checkpoint that this log extends", ErrDisputed, refusal)
	}
	return &ForkedError{Witness: p.key.Name(), Ours: q.ours.Checkpoint, Seen: seen, Evidence: evidence}
}

// extends reports whether our tree extends one that the log has signed.
func (q *question) extends(seen audit.Checkpoint) (bool, error) {
	if seen.Size > q.ours.Size {
		return false, nil
	}
	proof, err := q.proofs.from(seen.Size, q.ours.Size)
	return err == nil && consistent(proof, q.ours.Checkpoint, seen), err
}

// prover makes each proof one time, by one caller at a time, until it is closed: most
// witnesses have the same size.
type prover struct {
	mu     sync.Mutex
	prove  func(old int64) (tlog.TreeProof, error)
	made   map[int64]tlog.TreeProof
	closed bool
}

func newProver(prove func(old int64) (tlog.TreeProof, error)) *prover {
	return &prover{prove: prove, made: make(map[int64]tlog.TreeProof)}
}

// from returns the proof that a tree extends its first old entries.
func (p *prover) from(old, size int64) (tlog.TreeProof, error) {
	if old == 0 || old == size {
		return nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if proof, ok := p.made[old]; ok {
		return proof, nil
	}
	if p.closed {
		return nil, errSlow
	}
	proof, err := p.prove(old)
	if err != nil {
		return nil, fmt.Errorf("prove that the log extends its first %d entries: %w", old, err)
	}
	p.made[old] = proof
	return proof, nil
}

func (p *prover) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}
