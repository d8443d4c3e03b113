package ledger

import (
	"context"
	"fmt"

	"github.com/cardvault/cardvault/vault/audit"
)

// entries reads entries with their leaf hashes, as the checkpoint has them. Every
// body is the one that was hashed; one that was dropped is nil.
func (l *Ledger) entries(ctx context.Context, c audit.Checkpoint, from, to int64) ([]Entry, []audit.Hash, error) {
	entries, err := l.cfg.Store.ListLog(ctx, from, int(to-from))
	if err != nil {
		return nil, nil, fmt.Errorf("read the log: %w", err)
	}
	hashes, err := leaves(hashReader(ctx, l.cfg.Store, treeOf(c)), from, to)
	if err != nil {
		return nil, nil, l.readError(ctx, err)
	}
	for i, hash := range hashes {
		index := from + int64(i)
		if i >= len(entries) || entries[i].Index != index {
			return nil, nil, l.tampered(ctx, index, errIndex)
		}
		r := &entries[i].Record
		if len(r.Body) == 0 {
			r.Body = nil
			if err := l.checkDropped(ctx, index); err != nil {
				return nil, nil, err
			}
		} else if audit.LeafHash(r.Body) != hash {
			return nil, nil, l.tampered(ctx, index, errBody)
		}
	}
	return entries, hashes, nil
}

// checkDropped returns nil where the body of an entry may be missing. It may have
// been dropped since the last look.
func (l *Ledger) checkDropped(ctx context.Context, index int64) error {
	if index < l.view.now().first {
		return nil
	}
	head, err := l.cfg.Store.LogHead(ctx)
	if err != nil {
		return fmt.Errorf("read the head of the log: %w", err)
	}
	if index >= head.First {
		return l.tampered(ctx, index, errGone)
	}
	return nil
}
