package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

const (
	// leaseTimeout is how long a replica sees no beat before it takes over.
	leaseTimeout = 3 * time.Second
	// renewEvery is how often a leader that has nothing to do says that it lives.
	renewEvery = time.Second
)

// lease is what a replica knows of who sequences the log. No two clocks are
// compared: a beat is old where it stood still for leaseTimeout by the clock of
// whoever looks.
type lease struct {
	// term is the one that this replica sequences in; 0: it does not.
	term    int64
	renewed time.Time

	// head is as it was last seen, with the beat that was seen first at since.
	head  Head
	since time.Time
}

// saw notes the head as it is now.
func (s *lease) saw(head Head, now time.Time) {
	if head.Term != s.head.Term || head.Beat != s.head.Beat || s.since.IsZero() {
		s.since = now
	}
	s.head = head
}

// errTerm: terms count from 1, so this one was written by hand. The lease may be had
// in no other, so it is for an operator to see.
var errTerm = errors.New("the term of the lease is none")

// free reports whether the replica may take the lease: nobody has it, its holder
// stands still, or it is the replica's own from a write that it does not know the
// outcome of. Such a write may still be on its way; in a new term it is refused
// when it arrives, and cannot undo what comes after it.
func (s *lease) free(replica uuid.UUID, now time.Time) bool {
	return s.head.Holder == uuid.Nil || s.head.Holder == replica || now.Sub(s.since) >= leaseTimeout
}

// lead reports whether this replica has the lease, having renewed or taken it.
func (l *Ledger) lead(ctx context.Context) (bool, error) {
	s := &l.lease
	if s.term != 0 && s.head.Term == s.term && s.head.Holder == l.cfg.Replica {
		return true, l.keep(ctx)
	}
	l.resign()
	if !s.free(l.cfg.Replica, l.cfg.Clock()) {
		return false, nil
	}
	// If we die on the next line, or do not learn how it ended, the lease is ours at
	// most: nothing else was written.
	head, took, err := l.cfg.Store.TakeLease(ctx, s.head, l.cfg.Replica)
	if err != nil {
		return false, fmt.Errorf("take the lease: %w", err)
	}
	if !took {
		return false, nil
	}
	// The last holder may have published since we looked. From here on it cannot.
	if err := l.check(ctx, head); err != nil {
		return false, err
	}
	if head.Term <= 0 {
		return false, errTerm // the store would take it for nobody's, and refuse all
	}
	s.term, s.renewed = head.Term, s.since
	return true, nil
}

// Resign gives the lease back where this replica has it, so that nobody has to wait
// for it to lapse. If we die on the way it lapses.
func (l *Ledger) Resign(ctx context.Context) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.leave()
	if l.lease.term == 0 {
		return nil
	}
	defer l.resign()
	head, err := l.cfg.Store.LogHead(ctx)
	if err != nil {
		return fmt.Errorf("read the head of the log: %w", err)
	}
	if head.Term != l.lease.term || head.Holder != l.cfg.Replica {
		return nil // it is another's by now
	}
	if _, _, err := l.cfg.Store.TakeLease(ctx, head, uuid.Nil); err != nil {
		return fmt.Errorf("give the lease back: %w", err)
	}
	return nil
}

// resign forgets the lease, and what was known and promised under it.
func (l *Ledger) resign() {
	l.lease.term, l.promised = 0, promise{}
	clear(l.chains)
}

// keep says that the step goes on, and renews the lease where it has to be.
// ErrFenced: it is lost.
func (l *Ledger) keep(ctx context.Context) error {
	l.watchdog.Reset(callTimeout)
	now := l.cfg.Clock()
	if l.lease.term == 0 || now.Sub(l.lease.renewed) < renewEvery {
		return nil
	}
	if err := l.cfg.Store.RenewLease(ctx, l.lease.term); err != nil {
		return fmt.Errorf("renew the lease: %w", err)
	}
	l.lease.renewed = now
	return nil
}
