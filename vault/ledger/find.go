package ledger

import (
	"context"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault/audit"
)

// EntryAt returns the entry at an index. Errors: ErrNoCheckpoint, ErrNoEntry,
// ErrDropped, *TamperedError, *HaltedError.
func (l *Ledger) EntryAt(ctx context.Context, index int64) (Entry, error) {
	_, c, err := l.Checkpoint(ctx)
	if err != nil {
		return Entry{}, err
	}
	if index < 0 || index >= c.Size {
		return Entry{}, ErrNoEntry
	}
	entries, _, err := l.entries(ctx, c, index, index+1)
	if err != nil {
		return Entry{}, err
	}
	e := entries[0]
	if e.Record.Body == nil {
		return Entry{}, ErrDropped
	}
	// Who may see the entry is decided by its columns.
	if _, err := e.Record.Entry(); err != nil {
		return Entry{}, l.tampered(ctx, index, err)
	}
	return e, nil
}

// IndexOf returns the index of an entry of a replica's chain. Errors:
// ErrNoCheckpoint, ErrNoEntry, *TamperedError, *HaltedError. Whether a dropped entry
// stands there only its body could prove.
func (l *Ledger) IndexOf(ctx context.Context, replica uuid.UUID, number int64) (int64, error) {
	_, c, err := l.Checkpoint(ctx)
	if err != nil {
		return 0, err
	}
	index, has, err := l.find(ctx, replica, number)
	if err != nil {
		return 0, err
	}
	if !has || index >= c.Size {
		return 0, ErrNoEntry
	}
	entries, _, err := l.entries(ctx, c, index, index+1)
	if err != nil {
		return 0, err
	}
	if r := entries[0].Record; r.Body != nil {
		if e, err := audit.Parse(r.Body); err != nil || e.Replica != replica || e.Number != number {
			return 0, l.tampered(ctx, index, errIndex)
		}
	}
	return index, nil
}
