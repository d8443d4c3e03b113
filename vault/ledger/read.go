package ledger

import (
	"context"
	"iter"

	"github.com/cardvault/cardvault/vault/audit"
)

const (
	// A batch has at most so many entries, and bytes unless one entry has more.
	maxBatchEntries = 1000
	maxBatchBytes   = 1 << 20
)

// Checkpoint returns the newest published checkpoint that this replica verified,
// and what it says. Errors: ErrNoCheckpoint, *HaltedError.
func (l *Ledger) Checkpoint(ctx context.Context) (signed []byte, c audit.Checkpoint, err error) {
	s, err := l.shown(ctx)
	if err == nil && s.signed == nil {
		err = ErrNoCheckpoint
	}
	return s.signed, s.checkpoint, err
}

// shown returns the view. A replica that has just started looks first.
func (l *Ledger) shown(ctx context.Context) (shown, error) {
	if !l.view.now().looked && l.Err() == nil {
		if err := l.glance(ctx); err != nil {
			return shown{}, err
		}
	}
	s := l.view.now() // before Err: whoever then waits is woken when the replica halts
	return s, l.Err()
}

// glance looks unless somebody did.
func (l *Ledger) glance(ctx context.Context) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.leave()
	if l.view.now().looked {
		return nil
	}
	return l.look(ctx)
}

// Read returns the entries from an index up to, not including, to, in batches of at
// most 1000, as far as checkpoints cover them; to is 0 for no end. With follow it
// waits for those that are not covered yet, until ctx ends. The sequence ends with an
// error where it cannot go on: *TamperedError, *HaltedError, that of the store or
// of ctx, or ErrNoCheckpoint.
func (l *Ledger) Read(ctx context.Context, from, to int64, follow bool) iter.Seq2[audit.Batch, error] {
	return func(yield func(audit.Batch, error) bool) {
		var told int64 // size of the checkpoint that the reader has
		for to <= 0 || from < to {
			s, err := l.shown(ctx)
			if err == nil && s.signed == nil && !follow {
				err = ErrNoCheckpoint
			}
			if err != nil {
				yield(audit.Batch{}, err)
				return
			}
			end := s.checkpoint.Size
			if to > 0 {
				end = min(end, to)
			}
			if from >= end {
				if !follow {
					return
				}
				if err := wait(ctx, s.changed); err != nil {
					yield(audit.Batch{}, err)
					return
				}
				continue
			}
			end = min(end, from+maxBatchEntries)
			batches, err := l.batches(ctx, s.checkpoint, from, end)
			if err != nil {
				yield(audit.Batch{}, err)
				return
			}
			if s.checkpoint.Size > told {
				batches[0].Checkpoint, told = s.signed, s.checkpoint.Size
			}
			for _, b := range batches {
				if !yield(b, nil) {
					return
				}
			}
			from = end
		}
	}
}

func wait(ctx context.Context, changed <-chan struct{}) error {
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// batches reads entries and cuts them into batches.
func (l *Ledger) batches(ctx context.Context, c audit.Checkpoint, from, to int64) ([]audit.Batch, error) {
	entries, hashes, err := l.entries(ctx, c, from, to)
	if err != nil {
		return nil, err
	}
	batches, bytes := []audit.Batch{{}}, 0
	for i, e := range entries {
		last := &batches[len(batches)-1]
		if bytes += len(e.Record.Body); bytes > maxBatchBytes && len(last.Entries) > 0 {
			batches, bytes = append(batches, audit.Batch{}), len(e.Record.Body)
			last = &batches[len(batches)-1]
		}
		entry := audit.LogEntry{Index: e.Index, Body: e.Record.Body}
		if entry.Body == nil {
			entry.Leaf = hashes[i]
		}
		last.Entries = append(last.Entries, entry)
	}
	return batches, nil
}
