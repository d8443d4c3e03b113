package ledger

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// errSigned: a Signer or a witness returned something else than was asked for.
// Published, it would halt every replica.
var errSigned = errors.New("what came back is not the signed checkpoint")

// publish signs a checkpoint of the known tree and puts it into the head, unless
// one is there. The tree is stored, and all of it is vouched for.
//
// If we die before Publish, a signed checkpoint is lost, or known to a witness
// alone. That does no harm: the tree that it is of is durable, and every later one
// begins with it.
func (l *Ledger) publish(ctx context.Context) error {
	shown := l.view.now()
	if l.known.N == shown.checkpoint.Size {
		return nil
	}
	if l.vouched != l.known.N {
		return nil // sequence says why
	}
	c := audit.Checkpoint{Origin: l.cfg.Origin, Size: l.known.N, Root: l.known.Hash}
	signed, err := l.sign(ctx, c)
	if err != nil {
		return err
	}
	// The term and the head's row make this a compare-and-swap: in our term nobody but
	// us replaces the checkpoint, and ours only ever grow. Waking up in a later term,
	// we replace nothing.
	if err := l.cfg.Store.Publish(ctx, l.lease.term, signed); err != nil {
		// It may arrive later than the next: only in a term that is over.
		l.resign()
		return fmt.Errorf("publish the checkpoint: %w", err)
	}
	// If we die here it is published, and readers see it at their next look.
	l.view.show(signed, c, shown.first)
	l.measure(ctx)
	return nil
}

// sign returns the checkpoint with the log's signature and those of a quorum of
// witnesses.
func (l *Ledger) sign(ctx context.Context, c audit.Checkpoint) ([]byte, error) {
	if err := l.keep(ctx); err != nil {
		return nil, err
	}
	// Whoever is slower than the lease would cost us the lease.
	ctx, cancel := context.WithTimeout(ctx, witnessTimeout)
	defer cancel()
	signed, err := l.cfg.Signer.Sign(ctx, c.Text())
	if err != nil {
		return nil, fmt.Errorf("sign the checkpoint: %w", err)
	}
	if l.cfg.Witnesses != nil {
		tree := l.known
		signed, err = l.cfg.Witnesses.Cosign(ctx, signed, tree.N, func(old int64) (tlog.TreeProof, error) {
			return l.consistency(ctx, tree, old, tree.N)
		})
		if err != nil {
			l.metrics.cosignFailures.Add(ctx, 1)
			return nil, fmt.Errorf("cosign the checkpoint: %w", err)
		}
	}
	got, err := l.open(ctx, signed)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSigned, err)
	}
	if got != c {
		return nil, errSigned
	}
	return signed, nil
}
