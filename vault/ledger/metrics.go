package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// metrics is what the log tells of itself in numbers.
type metrics struct {
	alarms         metric.Int64Counter
	size           metric.Int64Gauge
	published      metric.Int64Gauge
	halted         metric.Int64Gauge
	refused        metric.Int64Gauge
	extensions     metric.Int64Histogram
	cosignFailures metric.Int64Counter

	// oldest is when the oldest entry was written that no checkpoint covers, as far
	// as this replica knows, in microseconds since 1970; 0: there is none.
	oldest atomic.Int64
}

func newMetrics(meter metric.Meter, clock func() time.Time) (*metrics, error) {
	m := &metrics{}
	var errs []error
	gauge := func(name, about string) metric.Int64Gauge {
		g, err := meter.Int64Gauge(name, metric.WithDescription(about))
		errs = append(errs, err)
		return g
	}
	counter := func(name, about string) metric.Int64Counter {
		c, err := meter.Int64Counter(name, metric.WithDescription(about))
		errs = append(errs, err)
		return c
	}
	m.alarms = counter("cardvault.alarms", "Alarms raised, by what happened. Each is in the log.")
	m.size = gauge("cardvault.log.size", "Entries of the audit log.")
	m.published = gauge("cardvault.log.published", "Entries that the published checkpoint covers.")
	m.halted = gauge("cardvault.log.halted", "1 where this replica found the audit log rolled back, forked or forged.")
	m.refused = gauge("cardvault.log.refused_chains", "Chains that the sequencer does not take, since they are not what a replica sealed.")
	m.cosignFailures = counter("cardvault.log.cosign_failures", "Checkpoints that too few witnesses cosigned.")
	var err error
	m.extensions, err = meter.Int64Histogram("cardvault.log.extension",
		metric.WithDescription("Entries that came into the log with one extension."),
		metric.WithExplicitBucketBoundaries(1, 4, 16, 64, 256, 1024, 4096, 16384))
	errs = append(errs, err)
	_, err = meter.Float64ObservableGauge("cardvault.log.lag", metric.WithUnit("s"),
		metric.WithDescription("Age of the oldest entry that no published checkpoint covers; 0: all are covered."),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			o.Observe(m.lag(clock()).Seconds())
			return nil
		}))
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("metrics of the log: %w", err)
	}
	return m, nil
}

func (m *metrics) lag(now time.Time) time.Duration {
	oldest := m.oldest.Load()
	if oldest == 0 {
		return 0
	}
	return max(0, now.Sub(time.UnixMicro(oldest)))
}

// waiting notes an entry that no checkpoint covers.
func (m *metrics) waiting(since time.Time) {
	if oldest := m.oldest.Load(); oldest == 0 || since.UnixMicro() < oldest {
		m.oldest.Store(since.UnixMicro())
	}
}

// covered notes that all entries are covered.
func (m *metrics) covered() { m.oldest.Store(0) }
