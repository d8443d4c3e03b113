package ledger

import (
	"context"
	"errors"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// ProveEntry proves that the newest checkpoint covers the entry at an index, whether
// its body was dropped or not. Errors: ErrNoCheckpoint, ErrNoEntry, *TamperedError
// where the stored tiles prove nothing.
func (l *Ledger) ProveEntry(ctx context.Context, index int64) (audit.Proof, error) {
	signed, c, err := l.Checkpoint(ctx)
	if err != nil {
		return audit.Proof{}, err
	}
	if index < 0 || index >= c.Size {
		return audit.Proof{}, ErrNoEntry
	}
	r := hashReader(ctx, l.cfg.Store, treeOf(c))
	hashes, err := tlog.ProveRecord(c.Size, index, r)
	if err != nil {
		return audit.Proof{}, l.readError(ctx, err)
	}
	leaf, err := leaves(r, index, index+1)
	if err != nil {
		return audit.Proof{}, l.readError(ctx, err)
	}
	if tlog.CheckRecord(hashes, c.Size, c.Root, index, leaf[0]) != nil {
		return audit.Proof{}, l.readError(ctx, errTiles)
	}
	return audit.Proof{Index: index, Hashes: hashes, Checkpoint: signed}, nil
}

// ProveConsistency proves that the log's first second entries begin with its first
// entries; of 0 entries there is nothing to prove. Errors: ErrNoCheckpoint,
// ErrNoEntry where the newest checkpoint does not cover them, *TamperedError.
func (l *Ledger) ProveConsistency(ctx context.Context, first, second int64) (tlog.TreeProof, error) {
	_, c, err := l.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	return l.consistency(ctx, treeOf(c), first, second)
}

// consistency is ProveConsistency within a tree.
func (l *Ledger) consistency(ctx context.Context, tree tlog.Tree, first, second int64) (tlog.TreeProof, error) {
	if first < 0 || first > second || second > tree.N {
		return nil, ErrNoEntry
	}
	r := hashReader(ctx, l.cfg.Store, tree)
	shorter := tlog.Tree{N: second, Hash: tree.Hash}
	if second < tree.N && second > 0 {
		var err error
		if shorter.Hash, err = tlog.TreeHash(second, r); err != nil {
			return nil, l.readError(ctx, err)
		}
	}
	p, _, err := prove(r, shorter, first)
	if err != nil {
		return nil, l.readError(ctx, err)
	}
	return p, nil
}

func treeOf(c audit.Checkpoint) tlog.Tree { return tlog.Tree{N: c.Size, Hash: c.Root} }

// readError turns what reading hashes came to into what callers are told.
func (l *Ledger) readError(ctx context.Context, err error) error {
	if errors.Is(err, errTiles) {
		return l.tampered(ctx, -1, err)
	}
	return err
}

// tampered raises the alarm, and returns the error.
func (l *Ledger) tampered(ctx context.Context, index int64, err error) error {
	why := &TamperedError{Index: index, Err: err}
	l.raise(ctx, alarmAltered, why)
	return why
}
