package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

const (
	// batch is how many entries one extension takes: 64 tiles of leaves.
	batch = 16384
	// maxChains bounds the chains that one extension looks at.
	maxChains = 4096
)

// sequence extends the log by up to a batch of entries. more: there is more.
func (l *Ledger) sequence(ctx context.Context) (more bool, err error) {
	if err := l.vouch(ctx); err != nil {
		return false, err
	}
	grown, err := l.listGrown(ctx)
	if err != nil {
		return false, err
	}
	var pieces []piece
	var waiting error
	room, backlog, taken := int64(batch), int64(0), int64(0)
	for i, g := range grown {
		if err := l.keep(ctx); err != nil { // a seal may take the KEK its time
			return false, err
		}
		share := (room + int64(len(grown)-i) - 1) / int64(len(grown)-i)
		if g.Tail.Seal == (audit.Hash{}) {
			share = math.MaxInt64 // the whole chain now, or never
		}
		if share == 0 {
			more = true
			break
		}
		p, err := l.take(ctx, g, share)
		if errors.Is(err, errWait) {
			waiting = errors.Join(waiting, err)
			l.metrics.waiting(l.cfg.Clock())
			continue
		}
		if err != nil {
			return false, err
		}
		if len(p.hashes) > 0 {
			pieces = append(pieces, p)
			backlog += g.Tail.Number - g.Next + 1
			taken += int64(len(p.hashes))
			room = max(0, room-int64(len(p.hashes)))
		}
	}
	l.measureRefused(ctx, grown)
	if err := l.extend(ctx, pieces); err != nil {
		return false, err
	}
	return more || backlog > taken, waiting
}

// listGrown returns the chains that have entries which the log lacks: those without
// a seal first, then those that wait for least, so that no chain's flood keeps
// another from the log.
func (l *Ledger) listGrown(ctx context.Context) ([]Grown, error) {
	limit := maxChains
	if l.known.N == 0 {
		limit = math.MaxInt32 // the chains without a seal come now or never
	}
	grown, err := l.cfg.Store.ListGrown(ctx, limit)
	if err != nil {
		return nil, fmt.Errorf("list the chains: %w", err)
	}
	unsealed := func(g Grown) int {
		if g.Tail.Seal == (audit.Hash{}) {
			return 0
		}
		return 1
	}
	slices.SortFunc(grown, func(a, b Grown) int {
		return cmp.Or(
			cmp.Compare(unsealed(a), unsealed(b)),
			cmp.Compare(a.Tail.Number-a.Next, b.Tail.Number-b.Next),
			slices.Compare(a.Tail.Replica[:], b.Tail.Replica[:]),
		)
	})
	return grown, nil
}

func (l *Ledger) measureRefused(ctx context.Context, grown []Grown) {
	refused := int64(0)
	for _, g := range grown {
		if c := l.chains[g.Tail.Replica]; c != nil && c.refused != nil {
			refused++
		}
	}
	l.metrics.refused.Record(ctx, refused)
}

// extend appends the pieces to the log.
func (l *Ledger) extend(ctx context.Context, pieces []piece) error {
	if len(pieces) == 0 {
		return nil
	}
	x := Extension{Size: l.known.N}
	var hashes []audit.Hash
	for _, p := range pieces {
		x.Runs = append(x.Runs, Run{
			First: x.Size + int64(len(hashes)), Replica: p.replica, Number: p.next, Count: len(p.hashes), Head: p.end.prev,
		})
		hashes = append(hashes, p.hashes...)
		l.metrics.waiting(p.oldest)
	}
	next, tiles := l.knownEdge.extend(hashes)
	x.Tiles = tiles
	// If we die before this returns, the log is extended whole or not at all. The next
	// sequencer reads where the chains go on from the same rows: nothing comes twice
	// or is left out. If another has taken over, it is not extended: the term is a
	// former one.
	if err := l.cfg.Store.ExtendLog(ctx, l.lease.term, x); err != nil {
		// It may be on its way still. In a term of before it is refused on arrival.
		l.resign()
		return fmt.Errorf("extend the log: %w", err)
	}
	// If we die here the entries have their indexes and no checkpoint covers them. The
	// next sequencer verifies them anew and signs.
	for _, p := range pieces {
		p.chain.link = p.end
	}
	l.known, l.knownEdge, l.vouched = tlog.Tree{N: next.size, Hash: next.root()}, next, next.size
	l.lease.renewed = l.cfg.Clock()
	l.metrics.extensions.Record(ctx, int64(len(hashes)))
	l.measure(ctx)
	return nil
}
