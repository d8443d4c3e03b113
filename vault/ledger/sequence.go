package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

const (
	// batch is how many entries one extension takes: 64 tiles of leaves.
	batch = 16384
	// maxChains bounds the chains that one extension looks at.
	maxChains = 4096
	// retryRefused is how soon a chain is looked at again that was refused.
	retryRefused = time.Minute
)

// chain is what the sequencer knows of a chain in its term.
type chain struct {
	link
	// placed: link is where the log has the chain, by the tree and not only by what
	// the store says.
	placed bool
	// ahead are links that lead to a sealed tail, a stride apart, ascending.
	ahead []link
	// refused is why the tail was not taken, and retry when it is looked at again.
	refused error
	tail    audit.Tail
	retry   time.Time
}

// piece is verified entries of one chain, the next of it that the log lacks.
type piece struct {
	*chain
	hashes []audit.Hash
	// oldest is the time of the first, end the link behind the last.
	oldest time.Time
	end    link
}

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
		share := (room + int64(len(grown)-i) - 1) / int64(len(grown)-i)
		if g.Tail.Seal == (audit.Hash{}) {
			share = math.MaxInt64 // now or never, see take
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
		if room == 0 {
			more = i+1 < len(grown)
			break
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

// take returns the next entries of a chain, up to limit and none where the chain is
// refused. An error is about reading, or is errWait.
func (l *Ledger) take(ctx context.Context, g Grown, limit int64) (piece, error) {
	c := l.chains[g.Tail.Replica]
	if c == nil {
		c = &chain{}
		l.chains[g.Tail.Replica] = c
	}
	if c.refused != nil && sameTail(c.tail, g.Tail) && l.cfg.Clock().Before(c.retry) {
		return piece{}, nil
	}
	p, err := l.verified(ctx, c, g, limit)
	if err != nil && refusal(err) {
		l.refuse(ctx, c, g.Tail, err)
		return piece{}, nil
	}
	if err == nil {
		c.refused = nil
	}
	return p, err
}

func sameTail(a, b audit.Tail) bool {
	return a.Number == b.Number && a.Head == b.Head && a.Seal == b.Seal
}

// refuse leaves a chain out of the log, and says so once for each reason.
func (l *Ledger) refuse(ctx context.Context, c *chain, tail audit.Tail, why error) {
	if c.refused == nil || c.refused.Error() != why.Error() {
		l.raise(ctx, alarmChain, why, slog.String("replica", tail.Replica.String()))
	}
	c.refused, c.tail, c.retry, c.ahead = why, tail, l.cfg.Clock().Add(retryRefused), nil
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

// verified reads the next entries of a chain and verifies that they lead to its
// sealed tail: on to the next waypoint that does, or where there is none to the tail
// itself, leaving waypoints for the next time.
func (l *Ledger) verified(ctx context.Context, c *chain, g Grown, limit int64) (piece, error) {
	if err := l.place(ctx, c, g); err != nil {
		return piece{}, err
	}
	p := piece{chain: c, end: c.link}
	visit := func(k link) {
		if p.hashes == nil {
			p.oldest = k.last
		}
		if int64(len(p.hashes)) < limit {
			p.hashes, p.end = append(p.hashes, k.prev), k
		}
	}
	if i := slices.IndexFunc(c.ahead, func(k link) bool { return k.next > c.next }); i >= 0 {
		// The last that is within the limit, or the first.
		for i+1 < len(c.ahead) && c.ahead[i+1].next-c.next <= limit {
			i++
		}
		goal := c.ahead[i]
		end, err := l.walk(ctx, c.link, goal.next-1, visit)
		if err == nil && end.prev != goal.prev {
			err = end.broken(errTail)
		}
		return p, err
	}
	if g.Tail.Seal == (audit.Hash{}) && l.known.N > 0 {
		return piece{}, &sealError{errSeal}
	}
	var ahead []link
	err := l.toTail(ctx, c.link, g.Tail, func(k link) {
		visit(k)
		if k.next%stride == 0 || k.next > g.Tail.Number {
			ahead = append(ahead, k)
		}
	})
	if err != nil {
		return piece{}, err
	}
	c.ahead = ahead
	return p, nil
}

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
	return nil
}
