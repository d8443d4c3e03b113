package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/vault/audit"
)

const (
	// stride is how many entries lie between two waypoints of a chain.
	stride = 1024
	// page is how many records are read at a time.
	page = 1024
)

// link is where the next entry of a chain joins it. It is a value.
type link struct {
	replica uuid.UUID
	// next is the number that follows, prev the leaf hash of the entry before and last
	// its time, as far as it is known.
	next int64
	prev audit.Hash
	last time.Time
}

// follow returns the link behind one more record, or an *audit.ChainError.
func (k link) follow(r audit.Record) (link, error) {
	e, err := r.Entry()
	switch {
	case err != nil:
	case e.Replica != k.replica:
		err = audit.ErrReplica
	case e.Number != k.next:
		err = audit.ErrNumber
	case e.Prev != k.prev:
		err = audit.ErrPrev
	case e.Time.Before(k.last):
		err = audit.ErrTime
	}
	if err != nil {
		return link{}, k.broken(err)
	}
	return link{replica: k.replica, next: k.next + 1, prev: audit.LeafHash(r.Body), last: e.Time}, nil
}

// broken says that the chain breaks where the link is.
func (k link) broken(err error) error {
	return &audit.ChainError{Replica: k.replica, Number: k.next, Err: err}
}

// walk reads a chain from a link up to the number until, verifying every entry, and
// calls visit with the link behind each.
func (l *Ledger) walk(ctx context.Context, k link, until int64, visit func(link)) (link, error) {
	for k.next <= until {
		if err := l.keep(ctx); err != nil {
			return link{}, err
		}
		records, err := l.cfg.Store.ChainRecords(ctx, k.replica, k.next, int(min(page, until-k.next+1)))
		if err != nil {
			return link{}, fmt.Errorf("read a chain: %w", err)
		}
		if len(records) == 0 {
			return link{}, k.broken(audit.ErrNumber)
		}
		for _, r := range records {
			if k, err = k.follow(r); err != nil {
				return link{}, err
			}
			visit(k)
		}
	}
	return k, nil
}

// errWait: the seal could not be verified for now.
var errWait = errors.New("a chain waits for its seal to be verified")

// checkSeal returns nil where the tail's replica sealed it.
func (l *Ledger) checkSeal(ctx context.Context, tail audit.Tail) error {
	err := l.cfg.Verify(ctx, tail)
	if errors.Is(err, keyring.ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", errWait, err)
	}
	if err != nil {
		return &sealError{err}
	}
	return nil
}

// sealError refuses a tail.
type sealError struct{ err error }

// Error implements error.
func (e *sealError) Error() string { return e.err.Error() }

// Unwrap returns what Verify said.
func (e *sealError) Unwrap() error { return e.err }

// refusal reports whether an error is about what a chain holds, and not about
// whether it could be read.
func refusal(err error) bool {
	_, broken := errors.AsType[*audit.ChainError](err)
	_, unsealed := errors.AsType[*sealError](err)
	return broken || unsealed
}

// toTail verifies a chain from a link up to its tail.
func (l *Ledger) toTail(ctx context.Context, k link, tail audit.Tail, visit func(link)) error {
	sealed := tail.Seal != audit.Hash{}
	if sealed {
		if err := l.checkSeal(ctx, tail); err != nil {
			return err
		}
	}
	end, err := l.walk(ctx, k, tail.Number, visit)
	if err != nil {
		return err
	}
	if sealed && end.prev != tail.Head || end.next != tail.Number+1 {
		return end.broken(errTail)
	}
	return nil
}
