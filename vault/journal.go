package vault

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/metric"

	"github.com/cardvault/cardvault/vault/audit"
)

const (
	// maxCommit bounds the changes of one transaction, so that one commit stays
	// within a fraction of commitTimeout.
	maxCommit     = 4096
	commitTimeout = 10 * time.Second
)

// journal is the replica's one writer. What arrives while one commit runs goes
// into the next together: changes and their audit entries, numbered in the
// replica's own chain. Replicas never wait for each other.
type journal struct {
	store   Store
	clock   func() time.Time
	alarms  *alarms
	sizes   metric.Int64Histogram
	replica uuid.UUID
	seal    *chainSeal
	// broken returns why nothing may be done any more; nil: it may.
	broken func() error

	queue   chan *submission
	closing chan struct{}
	closed  chan struct{}
	once    sync.Once
	end     error // of the commit of the last entry; to be read once closed

	// What follows belongs to run alone.

	chain  audit.Chain
	blocks blocks
	// doubt: the last commit failed, so chain and blocks may be behind the store.
	doubt bool
	// tried is where commits that failed would have led the chain. Any of them may
	// have been done after all, or still be.
	tried []audit.Chain
}

// maxTried bounds the commits that failed and may still be done.
const maxTried = 4096

// submission is the changes of one call. They are committed together.
type submission struct {
	changes []*change
	done    chan error
}

func newJournal(cfg Config, seal *chainSeal, broken func() error, alarms *alarms) (*journal, error) {
	sizes, err := cfg.Meter.Int64Histogram("cardvault.commit.changes",
		metric.WithDescription("Changes made durable by one commit."),
		metric.WithExplicitBucketBoundaries(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096))
	if err != nil {
		return nil, fmt.Errorf("commit size metric: %w", err)
	}
	return &journal{
		store: cfg.Store, clock: cfg.Clock, alarms: alarms, sizes: sizes,
		replica: seal.replica, seal: seal, broken: broken,
		queue: make(chan *submission, 1024), closing: make(chan struct{}), closed: make(chan struct{}),
		chain: audit.NewChain(seal.replica), blocks: blocks{},
	}, nil
}

// commit makes the changes durable with their audit entries and fills in their
// outcomes. With an error nothing is known to be recorded, nothing may be
// answered, and the outcomes must not be looked at: where ctx ended first the
// journal may still be writing them.
//
// Every answer passes here (P3), so here all are refused once the audit log in the
// store is found to be another than this replica knows.
func (j *journal) commit(ctx context.Context, changes ...*change) error {
	if j.broken() != nil {
		return ErrAuditLog
	}
	s := &submission{changes: changes, done: make(chan error, 1)}
	select {
	case j.queue <- s:
	case <-ctx.Done():
		return ctx.Err()
	case <-j.closing:
		return ErrStoreUnavailable
	}
	select {
	case err := <-s.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-j.closed:
		select {
		case err := <-s.done:
			return err
		default: // it came too late
			return ErrStoreUnavailable
		}
	}
}

// close lets what is queued be committed, and the end of the chain after it, and ends
// run. It returns the error of that last commit, or of ctx where that ends first.
func (j *journal) close(ctx context.Context) error {
	j.once.Do(func() { close(j.closing) })
	select {
	case <-j.closed:
		return j.end
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (j *journal) run() {
	defer close(j.closed)
	for {
		select {
		case first := <-j.queue:
			j.write(j.drain(first))
		case <-j.closing:
			j.finish()
			return
		}
	}
}

// finish commits what is queued, and then the last entry of the chain.
func (j *journal) finish() {
	for {
		select {
		case first := <-j.queue:
			j.write(j.drain(first))
		default:
			last := &submission{changes: []*change{serverChange(actionStop)}, done: make(chan error, 1)}
			j.write([]*submission{last})
			j.end = <-last.done
			return
		}
	}
}

// drain takes what arrived while the commit before was running: natural batching,
// without a timer. Yielding first lets callers that were just answered send their
// next call into the same commit.
func (j *journal) drain(first *submission) []*submission {
	for range 8 {
		runtime.Gosched()
	}
	taken, n := []*submission{first}, len(first.changes)
	for n < maxCommit {
		select {
		case s := <-j.queue:
			taken, n = append(taken, s), n+len(s.changes)
		default:
			return taken
		}
	}
	return taken
}

// write commits the submissions and wakes those who wait. Where they fail
// together, each is tried alone, so that one that the store cannot take fails no
// other.
func (j *journal) write(taken []*submission) {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	err := j.transact(ctx, taken)
	if err != nil && len(taken) > 1 && !errors.Is(err, ErrUnknownOutcome) && !errors.Is(err, context.DeadlineExceeded) {
		for _, s := range taken {
			j.write([]*submission{s})
		}
		return
	}
	if err != nil {
		j.alarms.raise(ctx, "commit failed", err)
		err = ErrStoreUnavailable
	}
	for _, s := range taken {
		s.done <- err
	}
}

// errAgain asks for another round over the same changes: what the round knew was
// out of date.
var errAgain = errors.New("the round has to be repeated")

// transact commits the submissions in one transaction. The journal's own copy of
// the chain and of its blocks moves only after the store said that it is durable.
//
// If this process dies before Commit returns, the transaction is there whole or
// not at all, and no caller has been answered: a write can be repeated with its
// request id. If it dies after, the entries are there. A number that the chain
// did not reach is used by nobody else, because no other process has this
// replica's id; a number of a block that was not reached stays in the block, and
// another replica takes the block over.
func (j *journal) transact(ctx context.Context, taken []*submission) error {
	if err := j.settle(ctx); err != nil {
		return err
	}
	var changes []*change
	for _, s := range taken {
		changes = append(changes, s.changes...)
	}
	for {
		before := j.chain
		r := round{journal: j, changes: changes}
		err := r.commit(ctx)
		switch {
		case err == nil:
			j.chain, j.blocks, j.tried = r.chain, r.blocks, nil
			j.sizes.Record(ctx, int64(len(changes)))
			return nil
		case errors.Is(err, errAgain):
			continue
		}
		j.doubt = true
		if r.chain.Len() > j.chain.Len() {
			j.tried = append(j.tried[max(0, len(j.tried)+1-maxTried):], r.chain)
		}
		if settleErr := j.settle(ctx); settleErr != nil {
			return errors.Join(err, settleErr)
		}
		if errors.Is(err, ErrUnknownOutcome) && j.chain == r.chain {
			return nil // it was committed; only the word of it was lost
		}
		if !errors.Is(err, ErrTaken) || j.chain == before {
			return err
		}
		// A commit that was given up has landed after all: go on behind it.
	}
}

// errForeign: the store has entries in this replica's chain that it did not write.
var errForeign = errors.New("the audit log has an entry in this replica's chain that is not its own")

// settle finds out, after a commit that failed, how far the chain really went.
// The transaction may even land after this: then its numbers are taken, the next
// commit fails with ErrTaken, and the journal settles again.
//
// The chain goes on from what this replica wrote and from nothing else: to go on
// from what the store says would seal whatever somebody put there. What the store
// lost or has otherwise shows as a gap in front of the next entry.
func (j *journal) settle(ctx context.Context) error {
	if !j.doubt {
		return nil
	}
	stored := audit.NewChain(j.replica)
	last, err := j.store.Head(ctx, j.replica)
	switch {
	case err == nil:
		if stored, err = audit.ResumeChain(last); err != nil {
			return err
		}
	case !errors.Is(err, ErrNoRow):
		return err
	}
	landed := slices.IndexFunc(j.tried, func(c audit.Chain) bool {
		return c.Len() == stored.Len() && c.Head() == stored.Head()
	})
	switch {
	case landed >= 0:
		j.chain, j.tried = j.tried[landed], nil
	case stored.Len() > j.chain.Len():
		return errForeign
	}
	j.blocks, j.doubt = blocks{}, false
	return nil
}
