package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// signTimeout bounds one attempt to get a checkpoint signed and cosigned.
const signTimeout = 10 * time.Second

// errSigned: a Signer or a witness returned something else than was asked for.
// Published, it would halt every replica.
var errSigned = errors.New("what came back is not the signed checkpoint")

// signing is a checkpoint on its way to the signer and the witnesses. Meanwhile the
// log is looked at, and extended, as ever.
type signing struct {
	c      audit.Checkpoint
	cancel context.CancelFunc
	done   chan struct{}

	// To be read once done.

	signed []byte
	err    error
}

// publish has a checkpoint of the known tree signed and puts it into the head,
// unless one is there. It waits for one that is under way until the next look is due,
// and not at all where there is more to sequence. done: there is nothing left to publish.
//
// The tree that is signed is durable, and all of it is vouched for. If we die before
// Publish, a signed checkpoint is lost, or known to a witness alone. That does no
// harm: every later one is of a tree that begins with its own.
func (l *Ledger) publish(ctx context.Context, more bool) (done bool, err error) {
	if l.signing == nil {
		if l.known.N == l.view.now().checkpoint.Size || l.vouched != l.known.N {
			return true, nil // all is covered, or may not be: sequence says why
		}
		l.begin(ctx)
	}
	if s, ended := l.await(ctx, more); ended {
		l.signing = nil
		if s.err != nil {
			l.uncosigned = true // a witness may have seen another log since it was asked
			return false, s.err
		}
		return s.c.Size == l.known.N, l.put(ctx, s)
	}
	return false, ctx.Err()
}

// put puts a signed checkpoint into the head, unless another sequencer has put a newer
// one there meanwhile, and this one taken over again: an older one in its place would
// halt every replica.
func (l *Ledger) put(ctx context.Context, s *signing) error {
	if s.c.Size <= l.view.now().checkpoint.Size {
		return nil
	}
	// The term makes this a compare-and-swap: in ours nobody else replaces the
	// checkpoint, and those of ours only grow. Waking up in a later term, we replace
	// nothing.
	if err := l.cfg.Store.Publish(ctx, l.lease.term, s.signed); err != nil {
		// It may be on its way still. In a term of before it is refused on arrival, and
		// cannot replace the next.
		l.resign()
		return fmt.Errorf("publish the checkpoint: %w", err)
	}
	// If we die here it is published, and every replica sees it at its next look.
	l.view.show(s.signed, s.c, l.view.now().first)
	l.measure(ctx)
	return nil
}

func (l *Ledger) begin(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, signTimeout)
	tree := l.known
	s := &signing{
		c:      audit.Checkpoint{Origin: l.cfg.Origin, Size: tree.N, Root: tree.Hash},
		cancel: cancel, done: make(chan struct{}),
	}
	l.signing = s
	go func() {
		defer close(s.done)
		s.signed, s.err = l.sign(ctx, s.c)
	}()
}

func (l *Ledger) await(ctx context.Context, more bool) (s *signing, ended bool) {
	s = l.signing
	patience := interval
	if more {
		patience = 0
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-s.done:
		s.cancel()
		return s, true
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, false
}

// abandon ends the signing under way. Its checkpoint is not published.
func (l *Ledger) abandon() {
	if l.signing != nil {
		l.signing.cancel()
		<-l.signing.done
		l.signing = nil
	}
}

// sign returns the checkpoint with the log's signature and those of a quorum of
// witnesses.
func (l *Ledger) sign(ctx context.Context, c audit.Checkpoint) ([]byte, error) {
	signed, err := l.cfg.Signer.Sign(ctx, c.Text())
	if err != nil {
		return nil, fmt.Errorf("sign the checkpoint: %w", err)
	}
	if l.cfg.Witnesses != nil {
		signed, err = l.cfg.Witnesses.Cosign(ctx, signed, c.Size, func(old int64) (tlog.TreeProof, error) {
			return l.consistency(ctx, treeOf(c), old, c.Size)
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
