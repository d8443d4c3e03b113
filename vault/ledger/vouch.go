package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/vault/audit"
)

// What a sequencer left behind that died between extending the log and publishing
// a checkpoint looks the same in the store as rows that somebody wrote there by
// hand. Before anything is signed, all of it is verified as if it had not been in
// the log yet: each chain from where signed entries end up to its sealed tail.

// stretch is a chain's entries among those that nobody vouched for.
type stretch struct {
	link
	first, last int64
	unsealed    bool
}

// vouch makes sure that every entry of the known tree is of a sealed chain.
// Entries that are not halt the replica: they are in the log, and may not be signed.
func (l *Ledger) vouch(ctx context.Context) error {
	if l.vouched == l.known.N {
		return nil
	}
	chains := map[uuid.UUID]*stretch{}
	for index := l.vouched; index < l.known.N; {
		n, err := l.vouchPage(ctx, chains, index)
		if err != nil {
			return err
		}
		index += n
	}
	// Chains without a seal come before all others, at the start of the log.
	sealed := l.known.N
	for replica, s := range chains {
		tail, ok, err := l.cfg.Store.ChainTail(ctx, replica)
		if err != nil {
			return fmt.Errorf("read the tail of a chain: %w", err)
		}
		if !ok {
			return l.halt(ctx, forged(s.first, errTail))
		}
		if tail.Seal != (audit.Hash{}) {
			sealed = min(sealed, s.first)
		}
		if err := l.toTail(ctx, s.link, tail, func(link) {}); err != nil {
			return l.condemn(ctx, s.last, err)
		}
		s.unsealed = tail.Seal == (audit.Hash{})
	}
	for _, s := range chains {
		if s.unsealed && (l.vouched > 0 || s.last > sealed) {
			return l.halt(ctx, forged(s.first, errSeal))
		}
	}
	l.vouched = l.known.N
	return nil
}

// vouchPage verifies the entries from index on, as many as are read at a time, and
// returns how many.
func (l *Ledger) vouchPage(ctx context.Context, chains map[uuid.UUID]*stretch, index int64) (int64, error) {
	if err := l.keep(ctx); err != nil {
		return 0, err
	}
	n := min(page, l.known.N-index)
	entries, err := l.cfg.Store.ListLog(ctx, index, int(n))
	if err != nil {
		return 0, fmt.Errorf("read the log: %w", err)
	}
	hashes, err := leaves(hashReader(ctx, l.cfg.Store, l.known), index, index+n)
	if err != nil {
		return 0, l.judge(ctx, err, l.known.N, "this replica has seen")
	}
	for i, hash := range hashes {
		at := index + int64(i)
		if i >= len(entries) || entries[i].Index != at {
			return 0, l.halt(ctx, forged(at, errIndex))
		}
		s, err := l.stretchOf(ctx, chains, entries[i])
		if err == nil {
			s.link, err = s.follow(entries[i].Record)
		}
		if err == nil && s.prev != hash {
			err = s.broken(errBody)
		}
		if err != nil {
			return 0, l.condemn(ctx, at, err)
		}
		s.last = at
	}
	return n, nil
}

// stretchOf returns the stretch that an entry goes on with, or begins. One that
// begins joins an entry that is vouched for, and is where the store says.
func (l *Ledger) stretchOf(ctx context.Context, chains map[uuid.UUID]*stretch, e Entry) (*stretch, error) {
	r := e.Record
	if s := chains[r.Replica]; s != nil {
		return s, nil
	}
	s := &stretch{link: link{replica: r.Replica, next: r.Number}, first: e.Index}
	index, has, err := l.find(ctx, r.Replica, r.Number)
	if err != nil || !has || index != e.Index {
		return nil, cmp.Or(err, s.broken(errPlace))
	}
	if r.Number > 0 {
		before, has, err := l.find(ctx, r.Replica, r.Number-1)
		if err != nil || !has {
			return nil, cmp.Or(err, s.broken(errPlace))
		}
		if err := l.checkNew(ctx, s.link, before+1); err != nil {
			return nil, err
		}
		if s.prev, err = l.leafOf(ctx, s.link); err != nil {
			return nil, err
		}
	}
	chains[r.Replica] = s
	return s, nil
}

// checkNew refuses an entry that follows the one before it already, at an index that
// is vouched for: it would stand in the log twice.
func (l *Ledger) checkNew(ctx context.Context, k link, index int64) error {
	if index >= l.vouched {
		return nil
	}
	there, err := l.cfg.Store.ListLog(ctx, index, 1)
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	if len(there) != 1 || there[0].Record.Replica == k.replica && there[0].Record.Number == k.next {
		return k.broken(errPlace)
	}
	return nil
}

// condemn halts the replica where the error is about what a chain holds. Of a chain
// whose key the KEK denies nothing can be said: it may be that the KEK's policy was
// cut, and that is no reason to end the service. It waits, unsigned.
func (l *Ledger) condemn(ctx context.Context, index int64, err error) error {
	if errors.Is(err, keyring.ErrDenied) {
		return fmt.Errorf("%w: %w", errWait, err)
	}
	if refusal(err) {
		return l.halt(ctx, forged(index, err))
	}
	return err
}
