package ledger

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/cardvault/cardvault/vault/audit"
)

// retryRefused is how soon a chain is looked at again that was refused.
const retryRefused = time.Minute

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
