package ship

import (
	"context"
	"fmt"
	"iter"

	"github.com/transparency-dev/merkle/compact"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// maxBytes closes a window, as its number of entries does.
const maxBytes = 4 << 20

// window is verified entries, and where the log stands behind them.
type window struct {
	events []Event
	bytes  int
	next   position
}

// full reports whether no more entries belong into the window.
func (w *window) full(most int) bool { return len(w.events) >= most || w.bytes >= maxBytes }

// verifier turns batches into windows.
type verifier struct {
	log  Log
	keys []note.Verifier
	tree *compact.Range
	head audit.Checkpoint
	most int // entries of a window

	open window // in the tree, and not verified yet
}

// readVerified reads the log from a position on, and yields what is verified. It
// ends with the first error, ErrForged or one of the connection; errEnded where the
// server has nothing more to say.
func (s *Shipper) readVerified(ctx context.Context, from position) iter.Seq2[window, error] {
	return func(yield func(window, error) bool) {
		v, err := s.newVerifier(ctx, from)
		if err != nil {
			yield(window{}, err)
			return
		}
		for batch, err := range s.cfg.Log.Read(ctx, from.Next) {
			var windows []window
			if err == nil {
				windows, err = v.take(ctx, batch)
			}
			for _, w := range windows {
				if !yield(w, nil) {
					return
				}
			}
			if err != nil {
				yield(window{}, err)
				return
			}
		}
		yield(window{}, errEnded)
	}
}

// newVerifier stands at a position, and has seen that the log begins with what was
// delivered: one that lost its end would otherwise just be silent.
func (s *Shipper) newVerifier(ctx context.Context, from position) (*verifier, error) {
	tree, err := from.tree()
	if err != nil {
		return nil, err
	}
	v := &verifier{log: s.cfg.Log, keys: s.cfg.Keys, tree: tree, most: s.pace.entries}
	signed, err := s.cfg.Log.Checkpoint(ctx)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if err := v.advance(signed); err != nil {
		return nil, err
	}
	return v, v.prove(ctx)
}

// take adds a batch to the tree and returns what is verified by it.
func (v *verifier) take(ctx context.Context, batch audit.Batch) (windows []window, err error) {
	if batch.Checkpoint != nil {
		if err := v.advance(batch.Checkpoint); err != nil {
			return nil, err
		}
	}
	for _, e := range batch.Entries {
		if err := v.append(e); err != nil {
			return windows, err
		}
		if v.next() < v.head.Size && !v.open.full(v.most) {
			continue
		}
		if err := v.prove(ctx); err != nil {
			return windows, err
		}
		v.open.next = positionOf(v.tree)
		windows, v.open = append(windows, v.open), window{}
	}
	return windows, nil
}

// next is the index after the last entry in the tree.
func (v *verifier) next() int64 { return int64(v.tree.End()) } //nolint:gosec // grows from a position, by entries

// advance takes a head where it is newer: another replica may be a moment behind.
func (v *verifier) advance(signed []byte) error {
	head, err := openHead(signed, v.keys)
	switch {
	case err != nil:
		return err
	case head.Size < v.next():
		return fmt.Errorf("%w: %d entries of %d", errShorter, head.Size, v.next())
	case head.Size >= v.head.Size:
		v.head = head
	}
	return nil
}

// openHead verifies a checkpoint.
func openHead(signed []byte, keys []note.Verifier) (audit.Checkpoint, error) {
	head, err := audit.OpenCheckpoint(signed, keys...)
	if err != nil {
		return audit.Checkpoint{}, fmt.Errorf("%w: %w", ErrForged, err)
	}
	return head, nil
}

// append adds the entry that comes next, and no other.
func (v *verifier) append(e audit.LogEntry) error {
	switch next := v.next(); {
	case e.Index != next:
		return fmt.Errorf("%w: entry %d where %d comes next", ErrForged, e.Index, next)
	case e.Index >= v.head.Size:
		return fmt.Errorf("%w: entry %d, and the checkpoint covers %d", ErrForged, e.Index, v.head.Size)
	}
	event, err := newEvent(e)
	if err != nil {
		return err
	}
	if err := v.tree.Append(event.Leaf[:], nil); err != nil {
		return fmt.Errorf("tree: %w", err)
	}
	v.open.events = append(v.open.events, event)
	v.open.bytes += len(event.Body)
	return nil
}

// prove checks the tree against the head: by its root where it is as long, or else
// by a proof that the log of the head begins with it.
func (v *verifier) prove(ctx context.Context) error {
	if v.next() == 0 {
		return nil // any log begins with nothing
	}
	root, err := v.root()
	if err != nil {
		return err
	}
	if v.next() == v.head.Size {
		if root != v.head.Root {
			return fmt.Errorf("%w: the entries do not have the root of the checkpoint of %d", ErrForged, v.head.Size)
		}
		return nil
	}
	proof, err := v.log.ProveConsistency(ctx, v.next(), v.head.Size)
	if err != nil {
		return fmt.Errorf("consistency proof: %w", err)
	}
	if err := tlog.CheckTree(proof, v.head.Size, v.head.Root, v.next(), root); err != nil {
		return fmt.Errorf("%w: entries up to %d are not those of the checkpoint of %d", ErrForged, v.next(), v.head.Size)
	}
	return nil
}

// root is the root hash of a tree that is not empty.
func (v *verifier) root() (audit.Hash, error) {
	root, err := v.tree.GetRootHash(nil)
	if err != nil {
		return audit.Hash{}, fmt.Errorf("tree: %w", err)
	}
	return audit.Hash(root), nil
}
