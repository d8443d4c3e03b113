package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// look reads the head of the log and compares it with what this replica remembers
// and, once, with what the witnesses remember.
func (l *Ledger) look(ctx context.Context) error {
	// The witnesses first: what they saw was stored before, so the head that is read
	// after it cannot be smaller.
	latest := l.askWitnesses(ctx)
	head, err := l.cfg.Store.LogHead(ctx)
	if err != nil {
		return fmt.Errorf("read the head of the log: %w", err)
	}
	if err := l.check(ctx, head); err != nil {
		return err
	}
	if err := l.compare(ctx, latest); err != nil {
		return err
	}
	l.checkOwn(ctx)
	return nil
}

// check halts the replica where the head does not follow from what it remembers.
// Else it remembers the head.
//
// Tiles are read after the head, so that at least its entries are there.
func (l *Ledger) check(ctx context.Context, head Head) error {
	if head.Size < l.known.N {
		return l.halt(ctx, rolledBack(l.known.N, head.Size))
	}
	if head.First < 0 || head.First > head.Size {
		return l.halt(ctx, &HaltedError{"the head of the audit log was edited: more is said to be dropped than there is"})
	}
	next, err := loadEdge(ctx, l.cfg.Store, head.Size)
	if err != nil {
		return l.judge(ctx, err, head.Size, "its head says")
	}
	tree := tlog.Tree{N: head.Size, Hash: next.root()}
	if err := begins(ctx, l.cfg.Store, tree, l.known); err != nil {
		return l.judge(ctx, err, l.known.N, "this replica has seen")
	}
	signed, c, err := l.checkCheckpoint(ctx, head, tree)
	if err != nil {
		return err
	}
	l.known, l.knownEdge, l.vouched = tree, next, max(l.vouched, c.Size)
	l.lease.saw(head, l.cfg.Clock())
	l.view.show(signed, c, head.First)
	l.measure(ctx)
	return nil
}

// judge halts the replica where stored tiles are not those of the tree that
// somebody saw. Other errors say nothing about the log.
func (l *Ledger) judge(ctx context.Context, err error, size int64, witness string) error {
	if errors.Is(err, errOther) || errors.Is(err, errTiles) {
		return l.halt(ctx, forked(size, witness))
	}
	return err
}

// checkCheckpoint verifies the head's checkpoint, unless it is the one that was
// verified before.
func (l *Ledger) checkCheckpoint(ctx context.Context, head Head, tree tlog.Tree) ([]byte, audit.Checkpoint, error) {
	shown := l.view.now()
	if bytes.Equal(head.Checkpoint, shown.signed) {
		return shown.signed, shown.checkpoint, nil
	}
	if len(head.Checkpoint) == 0 {
		return nil, audit.Checkpoint{}, l.halt(ctx, rolledBack(shown.checkpoint.Size, 0))
	}
	c, err := l.open(ctx, head.Checkpoint)
	restored := false
	if _, is := errors.AsType[*badCheckpointError](err); is && l.cfg.Predecessor != nil && shown.signed == nil {
		restored = true // or it is nobody's
		c, err = openWith(ctx, head.Checkpoint, l.cfg.Predecessor.FreshKeys)
	}
	bad, is := errors.AsType[*badCheckpointError](err)
	switch {
	case is:
		return nil, c, l.halt(ctx, unsigned(bad.err))
	case err != nil:
		return nil, c, err
	case c.Size < shown.checkpoint.Size:
		return nil, c, l.halt(ctx, rolledBack(shown.checkpoint.Size, c.Size))
	case c.Size > tree.N:
		return nil, c, l.halt(ctx, rolledBack(c.Size, tree.N))
	}
	if err := begins(ctx, l.cfg.Store, tree, tlog.Tree{N: c.Size, Hash: c.Root}); err != nil {
		return nil, c, l.judge(ctx, err, c.Size, "its checkpoint was signed for")
	}
	l.vouched = max(l.vouched, c.Size)
	if restored {
		return nil, audit.Checkpoint{}, nil
	}
	return head.Checkpoint, c, nil
}

// badCheckpointError says that what was read is no checkpoint of this log.
type badCheckpointError struct{ err error }

// Error implements error.
func (e *badCheckpointError) Error() string { return e.err.Error() }

// open verifies a signed checkpoint of this log. Where no key that is known of signed
// it the keys are read anew: a key may have taken over at once, as after a break-in,
// and another replica have signed with it alone.
func (l *Ledger) open(ctx context.Context, signed []byte) (audit.Checkpoint, error) {
	c, err := openWith(ctx, signed, l.cfg.Signer.Keys)
	if bad, is := errors.AsType[*badCheckpointError](err); is && errors.Is(bad.err, audit.ErrUnsigned) {
		c, err = openWith(ctx, signed, l.cfg.Signer.FreshKeys)
	}
	if err == nil && c.Origin != l.cfg.Origin {
		return audit.Checkpoint{}, &badCheckpointError{audit.ErrOrigin}
	}
	return c, err
}

func openWith(ctx context.Context, signed []byte, read func(context.Context) ([]note.Verifier, error)) (audit.Checkpoint, error) {
	keys, err := read(ctx)
	if err != nil {
		return audit.Checkpoint{}, fmt.Errorf("read the keys of the log: %w", err)
	}
	c, err := audit.OpenCheckpoint(signed, keys...)
	if err != nil {
		return audit.Checkpoint{}, &badCheckpointError{err}
	}
	return c, nil
}

// measure tells what was seen.
func (l *Ledger) measure(ctx context.Context) {
	published := l.view.now().checkpoint.Size
	l.metrics.halted.Record(ctx, 0)
	l.metrics.size.Record(ctx, l.known.N)
	l.metrics.published.Record(ctx, published)
	if published < l.known.N {
		if l.metrics.oldest.Load() == 0 {
			l.metrics.waiting(l.cfg.Clock())
		}
	} else if l.lease.term == 0 {
		l.metrics.covered() // as far as those know who do not sequence
	}
}
