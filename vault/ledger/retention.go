package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/cardvault/cardvault/vault/audit"
)

const (
	pruneEvery = time.Minute
	// pruneLimit is how many entries are dropped at a time, and pruneChunk in one
	// transaction.
	pruneLimit = 64 * audit.TileWidth
	pruneChunk = 4 * audit.TileWidth
)

// retain drops, once a minute, the bodies of the oldest entries that are older than
// the retention time. Hashes stay, and with them every proof.
func (l *Ledger) retain(ctx context.Context) {
	now := l.cfg.Clock()
	if l.cfg.Retention <= 0 || !l.pruned.IsZero() && now.Sub(l.pruned) < pruneEvery {
		return
	}
	l.pruned = now
	err := l.prune(ctx, now.Add(-l.cfg.Retention))
	l.note(ctx, &l.unpruned, err)
}

// prune drops whole bundles of entries written before a time. That it does is an
// entry itself, durable before the first body is gone: what is missing without one
// was not dropped by us.
func (l *Ledger) prune(ctx context.Context, before time.Time) error {
	first := l.lease.head.First
	until, err := l.expired(ctx, first, before)
	if err != nil || until <= first {
		return err
	}
	entry := audit.Entry{Action: "PruneLog", Decision: audit.Allow, Result: "OK", Index: until, Count: int(until - first)}
	if err := l.cfg.Record(ctx, entry); err != nil {
		return fmt.Errorf("record that entries are dropped: %w", err)
	}
	// If we die here or on any line that follows, less is dropped than was said, and
	// the next sequencer says again what it drops.
	for first < until {
		if err := l.keep(ctx); err != nil {
			return err
		}
		if first, err = l.cfg.Store.DropEntries(ctx, l.lease.term, until, pruneChunk); err != nil {
			return fmt.Errorf("drop entries: %w", err)
		}
	}
	return nil
}

// expired returns the end of the last of the bundles from first on that hold
// nothing written since a time. Times are those of bodies: columns are easier to
// edit.
func (l *Ledger) expired(ctx context.Context, first int64, before time.Time) (int64, error) {
	c := l.view.now().checkpoint
	until := first - first%audit.TileWidth
	for until+audit.TileWidth <= min(c.Size, first+pruneLimit) {
		if err := l.keep(ctx); err != nil {
			return 0, err
		}
		end := until + audit.TileWidth
		entries, _, err := l.entries(ctx, c, max(first, until), end)
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
