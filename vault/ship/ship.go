package ship

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sync/errgroup"
)

// Config is what a Shipper ships, and where to.
type Config struct {
	Log Log
	// Keys are those that the log may be signed with, all of one origin.
	Keys []note.Verifier
	// Folder keeps the cursors. One process at a time uses it; with it gone, everything
	// is delivered again.
	Folder string
	// Sinks by name: lower-case words, which name their cursors and metrics.
	Sinks map[string]Sink
	// Lag is how far a sink may be behind before that is an alarm.
	Lag    Lag
	Clock  func() time.Time
	Logger *slog.Logger
	Meter  metric.Meter
}

// Shipper delivers a log to its sinks.
type Shipper struct {
	cfg       Config
	pace      pace
	followers []*follower
	// size is how long the log is.
	size      atomic.Int64
	delivered metric.Int64Counter
}

// pace is how much a Shipper does at once, and how long it waits for what.
type pace struct {
	// entries close a window.
	entries int
	// gather is how long the first entry of a delivery waits for others.
	gather time.Duration
	// retry is the pause after a first failure; it doubles up to slowest.
	retry, slowest time.Duration
	// delivery bounds one call of a sink.
	delivery time.Duration
	// look is how often lag is held against its bounds.
	look time.Duration
}

func normalPace() pace {
	return pace{
		entries: 1000, gather: time.Second, retry: time.Second / 2, slowest: 30 * time.Second,
		delivery: time.Minute, look: 5 * time.Second,
	}
}

// New makes a Shipper and reads where each sink stands. The sinks stay the
// caller's to close.
func New(cfg Config) (*Shipper, error) {
	if len(cfg.Keys) == 0 || len(cfg.Sinks) == 0 {
		return nil, errors.New("shipping takes a key of the log and a sink")
	}
	if err := os.MkdirAll(cfg.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	s := &Shipper{cfg: cfg, pace: normalPace()}
	for _, name := range slices.Sorted(maps.Keys(cfg.Sinks)) {
		f, err := s.newFollower(name)
		if err != nil {
			return nil, err
		}
		s.followers = append(s.followers, f)
	}
	return s, s.observe(cfg.Meter)
}

func (s *Shipper) newFollower(name string) (*follower, error) {
	f := &follower{
		shipper: s, name: name, sink: s.cfg.Sinks[name],
		failures: failures{what: "sink", name: name, logger: s.cfg.Logger},
		cursor: cursor{
			path: filepath.Join(s.cfg.Folder, name+".json"), origin: s.cfg.Keys[0].Name(),
			interrupt: func(string) error { return nil },
		},
	}
	var err error
	if f.position, err = f.cursor.load(); err != nil {
		return nil, err
	}
	f.next.Store(f.position.Next)
	return f, nil
}

// Run ships until ctx ends and returns nil then. ErrForged ends it as well; what
// was delivered by then had verified. Whatever else fails is tried again for ever,
// and is an alarm in the log meanwhile.
func (s *Shipper) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, f := range s.followers {
		g.Go(func() error { return f.run(ctx) })
	}
	g.Go(func() error { return s.watchHead(ctx) })
	g.Go(func() error {
		s.watchLag(ctx)
		return nil
	})
	return g.Wait()
}
