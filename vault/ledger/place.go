package ledger

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault/audit"
)

// place finds out where the log has the chain. The first time in a term the tree
// has to say so: with the store's word alone entries could be left out or come
// twice.
func (l *Ledger) place(ctx context.Context, c *chain, g Grown) error {
	replica := g.Tail.Replica
	at := link{replica: replica, next: g.Next, prev: g.Prev}
	if c.placed {
		if c.next != g.Next || c.prev != g.Prev {
			return at.broken(errPlace)
		}
		return nil
	}
	if _, has, err := l.find(ctx, replica, g.Next); err != nil || has {
		return cmp.Or(err, at.broken(errPlace))
	}
	prev, err := l.leafOf(ctx, at)
	if err != nil {
		return err
	}
	if prev != g.Prev {
		return at.broken(errPlace)
	}
	c.link, c.placed = at, true
	return nil
}

// leafOf returns the leaf hash of the entry before a link, which the log has to
// have; zero where there is none before.
func (l *Ledger) leafOf(ctx context.Context, k link) (audit.Hash, error) {
	if k.next == 0 {
		return audit.Hash{}, nil
	}
	index, has, err := l.find(ctx, k.replica, k.next-1)
	if err != nil || !has || index >= l.known.N {
		return audit.Hash{}, cmp.Or(err, k.broken(errPlace))
	}
	found, err := leaves(hashReader(ctx, l.cfg.Store, l.known), index, index+1)
	if err != nil {
		return audit.Hash{}, l.judge(ctx, err, l.known.N, "this replica has seen")
	}
	return found[0], nil
}

// find returns where the store says an entry is; false: nowhere.
func (l *Ledger) find(ctx context.Context, replica uuid.UUID, number int64) (int64, bool, error) {
	index, has, err := l.cfg.Store.IndexOf(ctx, replica, number)
	if err != nil {
		return 0, false, fmt.Errorf("find an entry: %w", err)
	}
	return index, has, nil
}
