package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault/audit"
)

const (
	pruneEvery = time.Minute
	// pruneLimit is how many entries are dropped at a time, and pruneChunk in one
	// transaction.
	pruneLimit = 64 * audit.TileWidth
	pruneChunk = 4 * audit.TileWidth
)

// promise is what an entry says is going to be dropped.
type promise struct {
	until   int64
	replica uuid.UUID
	number  int64
}

// retain drops the bodies of the oldest entries that are older than the retention
// time. Hashes stay, and with them every proof.
//
// That it does is an entry itself, and a published checkpoint covers it before the
// first body is gone: what is missing without one was not dropped by us, and who
// exports the log at any moment finds both or neither.
func (l *Ledger) retain(ctx context.Context) {
	if l.cfg.Retention <= 0 {
		return
	}
	var err error
	if first := l.lease.head.First; first < l.promised.until {
		err = l.prune(ctx, first)
	} else if now := l.cfg.Clock(); l.pruned.IsZero() || now.Sub(l.pruned) >= pruneEvery {
		l.pruned = now
		err = l.promise(ctx, first, now.Add(-l.cfg.Retention))
	} else {
		return
	}
	l.note(ctx, &l.unpruned, err)
}

// promise records that whole bundles of entries written before a time are going to be
// dropped, where there are any.
func (l *Ledger) promise(ctx context.Context, first int64, before time.Time) error {
	until, err := l.expired(ctx, first, before)
	if err != nil || until <= first {
		return err
	}
	entry := audit.Entry{Action: "PruneLog", Decision: audit.Allow, Result: "OK", Index: until, Count: int(until - first)}
	replica, number, err := l.cfg.Record(ctx, entry)
	if err != nil {
		return fmt.Errorf("record that entries are dropped: %w", err)
	}
	l.promised = promise{until, replica, number}
	return nil
}

// prune drops what was promised, once that is covered. If we die on any line, less
// is dropped than was said, and the next sequencer says again what it drops.
func (l *Ledger) prune(ctx context.Context, first int64) error {
	p := l.promised
	if _, err := l.IndexOf(ctx, p.replica, p.number); err != nil {
		if errors.Is(err, ErrNoEntry) {
			return nil // not yet
		}
		return err
	}
	for first < p.until {
		if err := l.keep(ctx); err != nil {
			return err
		}
		var err error
		if first, err = l.cfg.Store.DropEntries(ctx, l.lease.term, p.until, pruneChunk); err != nil {
			return fmt.Errorf("drop entries: %w", err)
		}
	}
	l.promised = promise{}
	return nil
}

// expired returns the end of the last of the bundles from first on that hold
// nothing written since a time. Times are those of bodies: columns are easier to
// edit.
func (l *Ledger) expired(ctx context.Context, first int64, before time.Time) (int64, error) {
	c := l.view.now().checkpoint
	until := first
	for until < first+pruneLimit {
		end := until - until%audit.TileWidth + audit.TileWidth
		if end > c.Size {
			break
		}
		if err := l.keep(ctx); err != nil {
			return 0, err
		}
		entries, _, err := l.entries(ctx, c, until, end)
		if err != nil {
			return 0, err
		}
		for _, e := range entries {
			parsed, err := audit.Parse(e.Record.Body)
			if err != nil {
				return 0, l.tampered(ctx, e.Index, err)
			}
			if !parsed.Time.Before(before) {
				return until, nil
			}
		}
		until = end
	}
	return until, nil
}
