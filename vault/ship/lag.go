package ship

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Lag is how far a sink is behind the log.
type Lag struct {
	// Entries that the log has and the sink has not.
	Entries int64
	// Age of the oldest of them, as far as it was read.
	Age time.Duration
}

// beyond reports whether a lag is more than a bound in either way.
func (l Lag) beyond(bound Lag) bool { return l.Entries > bound.Entries || l.Age > bound.Age }

// lag returns how far a sink is behind now.
func (s *Shipper) lag(f *follower) Lag {
	l := Lag{Entries: max(0, s.size.Load()-f.next.Load())}
	if oldest := f.oldest.Load(); oldest != 0 {
		l.Age = max(0, s.cfg.Clock().Sub(time.UnixMicro(oldest)))
	}
	return l
}

// watchHead follows the length of the log from its end on.
func (s *Shipper) watchHead(ctx context.Context) error {
	failing := &failures{what: "log", name: s.cfg.Keys[0].Name(), logger: s.cfg.Logger}
	return s.persist(ctx, failing, func(ctx context.Context) error {
		signed, err := s.cfg.Log.Checkpoint(ctx)
		if err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
		if err := s.advance(ctx, signed, failing); err != nil {
			return err
		}
		for batch, err := range s.cfg.Log.Read(ctx, s.size.Load()) {
			if err == nil && batch.Checkpoint != nil {
				err = s.advance(ctx, batch.Checkpoint, failing)
			}
			if err != nil {
				return err
			}
		}
		return errEnded
	})
}

// advance takes a checkpoint for the log's length, where it is newer.
func (s *Shipper) advance(ctx context.Context, signed []byte, failing *failures) error {
	c, err := openHead(signed, s.cfg.Keys)
	if err != nil {
		return err
	}
	s.size.Store(max(c.Size, s.size.Load()))
	failing.over(ctx)
	return nil
}

// watchLag raises an alarm for each sink that is too far behind, and says when it
// is over.
func (s *Shipper) watchLag(ctx context.Context) {
	ticker := time.NewTicker(s.pace.look)
	defer ticker.Stop()
	behind := map[*follower]bool{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, f := range s.followers {
			lag := s.lag(f)
			if was := behind[f]; was != lag.beyond(s.cfg.Lag) {
				behind[f] = !was
				s.tellLag(ctx, f.name, lag, !was)
			}
		}
	}
}

func (s *Shipper) tellLag(ctx context.Context, sink string, lag Lag, raised bool) {
	attrs := []slog.Attr{
		slog.String("sink", sink), slog.String("alarm", "behind"),
		slog.Int64("entries", lag.Entries), slog.String("age", lag.Age.String()),
	}
	if raised {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelError, "alarm", attrs...)
		return
	}
	s.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "alarm over", attrs...)
}

// observe makes the instruments.
func (s *Shipper) observe(meter metric.Meter) error {
	gauges := []struct {
		name, unit, about string
		read              func(*follower) float64
	}{
		{
			"cardvault.ship.lag.entries", "{entry}", "Entries that the log has and the sink has not.",
			func(f *follower) float64 { return float64(s.lag(f).Entries) },
		},
		{
			"cardvault.ship.lag.age", "s", "Age of the oldest entry that was read and not delivered.",
			func(f *follower) float64 { return s.lag(f).Age.Seconds() },
		},
		{
			"cardvault.ship.next", "{entry}", "Index of the next entry to deliver.",
			func(f *follower) float64 { return float64(f.next.Load()) },
		},
		{
			"cardvault.ship.failing", "", "1 while deliveries fail.",
			func(f *follower) float64 { return map[bool]float64{true: 1}[f.failures.failing()] },
		},
	}
	for _, g := range gauges {
		_, err := meter.Float64ObservableGauge(g.name, metric.WithUnit(g.unit), metric.WithDescription(g.about),
			metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
				for _, f := range s.followers {
					o.Observe(g.read(f), metric.WithAttributes(attribute.String("sink", f.name)))
				}
				return nil
			}))
		if err != nil {
			return fmt.Errorf("metric %s: %w", g.name, err)
		}
	}
	var err error
	s.delivered, err = meter.Int64Counter("cardvault.ship.delivered",
		metric.WithUnit("{entry}"), metric.WithDescription("Entries that the sink acknowledged."))
	if err != nil {
		return fmt.Errorf("metric cardvault.ship.delivered: %w", err)
	}
	return nil
}
