package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/metric"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

const (
	// interval is how often a replica looks at the log.
	interval = 250 * time.Millisecond
	// callTimeout bounds what a step waits for between two signs of progress.
	callTimeout = 10 * time.Second
)

// errStuck: whatever the step waited for did not come within callTimeout.
var errStuck = errors.New("no answer")

// Config is what a Ledger is made of. All but Predecessor, Witnesses and Retention are
// required, and Record where there is a Retention.
type Config struct {
	Store  Store
	Signer Signer
	// Origin names the log in its checkpoints.
	Origin string
	// Replica is this run of the process.
	Replica uuid.UUID
	// Verify returns nil where the tail's replica sealed it. With an error that is
	// keyring.ErrUnavailable or the context's the chain waits; any other refuses it.
	Verify func(ctx context.Context, tail audit.Tail) error
	// Clock is only ever compared with itself, but for the age of entries.
	Clock func() time.Time
	Log   *slog.Logger
	Meter metric.Meter
	// Predecessor knows the keys of the log that a restored database is the beginning
	// of; nil: there is none. A checkpoint of it says what need not be verified anew,
	// and is shown to nobody.
	Predecessor Keys
	// Witnesses cosign each checkpoint before it is published; nil: there are none.
	Witnesses Witnesses
	// Retention is how long bodies are kept; 0: for good.
	Retention time.Duration
	// Record makes an audit entry of the server itself durable, and returns its place.
	Record func(ctx context.Context, entry audit.Entry) (replica uuid.UUID, number int64, err error)
}

// Ledger is one replica's part in the log. Make one with New; it is safe for
// concurrent use.
type Ledger struct {
	cfg     Config
	metrics *metrics
	halted  atomic.Pointer[HaltedError]
	view    *view

	// turn is held by whoever steps. What follows is theirs alone.
	turn chan struct{}

	// known is the tree that this replica last verified, and knownEdge its edge.
	known     tlog.Tree
	knownEdge edge
	// vouched is how many entries it knows to be of sealed chains.
	vouched int64
	// asked is when the witnesses were last asked what they saw; answered: all said.
	asked    time.Time
	answered bool
	// uncosigned: a checkpoint could not be published since.
	uncosigned bool
	own        own

	lease    lease
	signing  *signing // under way; nil: none
	chains   map[uuid.UUID]*chain
	pruned   time.Time
	promised promise
	stalled  streak
	unsigned streak
	unpruned streak
	// watchdog ends a step that makes no progress.
	watchdog *time.Timer
}

// New returns a Ledger that does nothing until it is run or stepped.
func New(cfg Config) (*Ledger, error) {
	for _, part := range []struct {
		name    string
		missing bool
	}{
		{"Store", cfg.Store == nil},
		{"Signer", cfg.Signer == nil},
		{"Origin", cfg.Origin == ""},
		{"Replica", cfg.Replica == uuid.Nil},
		{"Verify", cfg.Verify == nil},
		{"Clock", cfg.Clock == nil},
		{"Log", cfg.Log == nil},
		{"Meter", cfg.Meter == nil},
		{"Record", cfg.Record == nil && cfg.Retention > 0},
	} {
		if part.missing {
			return nil, fmt.Errorf("ledger: %s is missing", part.name)
		}
	}
	m, err := newMetrics(cfg.Meter, cfg.Clock)
	if err != nil {
		return nil, err
	}
	l := &Ledger{
		cfg: cfg, metrics: m, view: newView(), turn: make(chan struct{}, 1), chains: map[uuid.UUID]*chain{},
		stalled: streak{what: alarmStalled}, unsigned: streak{what: alarmPublish},
		unpruned: streak{what: alarmRetention},
	}
	l.known.Hash = l.knownEdge.root()
	return l, nil
}

// Run steps every 250 ms until ctx ends or the replica halts. It keeps the lease:
// the replica's last entry is written after that, and one more Step brings it into
// the log. Then comes Resign.
func (l *Ledger) Run(ctx context.Context) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for l.Err() == nil {
		_ = l.Step(ctx) // raises its own alarms
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// Err returns why this replica must refuse every call, a *HaltedError; nil: it need
// not.
func (l *Ledger) Err() error {
	if why := l.halted.Load(); why != nil {
		return why
	}
	return nil
}

// Step does once what Run does every 250 ms: it looks at the log, and where this
// replica has the lease, or gets it, everything that there is to sequence and to
// publish. An error that is not a *HaltedError may be gone at the next step.
func (l *Ledger) Step(ctx context.Context) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.leave()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l.watchdog = time.AfterFunc(callTimeout, func() { cancel(errStuck) })
	defer l.watchdog.Stop()
	defer l.abandon()
	for {
		if err := l.Err(); err != nil {
			return err
		}
		more, err := l.advance(ctx)
		l.note(ctx, &l.stalled, err)
		if l.lease.term == 0 || err != nil && !errors.Is(err, errWait) {
			return unlessFenced(ctx, err)
		}
		done, publishErr := l.publish(ctx, more)
		if done || publishErr != nil {
			l.note(ctx, &l.unsigned, publishErr)
		}
		if err = errors.Join(err, publishErr); err != nil && (done || publishErr != nil) {
			return unlessFenced(ctx, err)
		}
		if done && !more && err == nil {
			l.metrics.covered()
			l.retain(ctx)
			return nil
		}
	}
}

// unlessFenced forgives that another replica has a later term: it goes on from here.
func unlessFenced(ctx context.Context, err error) error {
	if errors.Is(err, ErrFenced) {
		return nil
	}
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errStuck) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

func (l *Ledger) enter(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Ledger) leave() { <-l.turn }

// advance looks at the log, and extends it where this replica leads. more: there is
// more to sequence.
func (l *Ledger) advance(ctx context.Context) (more bool, err error) {
	l.watchdog.Reset(callTimeout)
	if err := l.look(ctx); err != nil {
		return false, err
	}
	leads, err := l.lead(ctx)
	if leads && err == nil {
		more, err = l.sequence(ctx)
	}
	if errors.Is(err, ErrFenced) {
		l.resign()
	}
	return more, err
}
