package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// Metrics are the numbers of one process: of the Go runtime, of gRPC calls by
// method and status, of the TLS files, and what the vault counts. No label of
// theirs comes from a request.
type Metrics struct {
	registry *prometheus.Registry
	provider *sdkmetric.MeterProvider
}

// NewMetrics returns metrics of their own, shared with nothing else in the process.
func NewMetrics() (*Metrics, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter, err := otelprometheus.New(
		otelprometheus.WithRegisterer(registry),
		otelprometheus.WithoutScopeInfo(),
		otelprometheus.WithoutTargetInfo(),
	)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return &Metrics{registry, sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))}, nil
}

// Meter makes the instruments of cardvault.
func (m *Metrics) Meter() metric.Meter {
	return m.provider.Meter("github.com/cardvault/cardvault")
}

// Handler answers scrapes, in the text format of Prometheus. It belongs on a port
// of its own: it asks nobody who they are.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2})
}

// observe makes the server's own instruments: what it reads of itself at a scrape.
func (s *Server) observe(meter metric.Meter) error {
	gauges := []struct {
		name, unit, about string
		read              func() (float64, bool)
	}{
		{
			"cardvault.server.certificate.expiry.timestamp", "s", "When the server's certificate expires, Unix time.",
			func() (float64, bool) { return unix(s.gate.trust.Load().own.Leaf.NotAfter) },
		},
		{
			"cardvault.crl.creation.timestamp", "s", "When the oldest revocation list in use was made, Unix time.",
			func() (float64, bool) { return unix(s.gate.trust.Load().from) },
		},
		{
			"cardvault.crl.expiry.timestamp", "s", "When the first revocation list in use ends and its clients are refused, Unix time.",
			func() (float64, bool) { return unix(s.gate.trust.Load().until) },
		},
		{
			"cardvault.server.connections", "{connection}", "Connections that stand.",
			func() (float64, bool) { return float64(s.gate.connections()), true },
		},
		{
			"cardvault.server.calls.in_flight", "{call}", "Calls that are being answered.",
			func() (float64, bool) { return float64(s.pipe.inFlight.Load()), true },
		},
		{
			"cardvault.server.streams", "{stream}", "Streams of the audit log that are open.",
			func() (float64, bool) { return float64(s.pipe.streams.taken()), true },
		},
	}
	for _, g := range gauges {
		_, err := meter.Float64ObservableGauge(g.name, metric.WithUnit(g.unit), metric.WithDescription(g.about),
			metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
				if value, ok := g.read(); ok {
					o.Observe(value)
				}
				return nil
			}))
		if err != nil {
			return fmt.Errorf("metric %s: %w", g.name, err)
		}
	}
	return nil
}

// unix leaves the zero time out: there is no revocation list to speak of.
func unix(t time.Time) (float64, bool) { return float64(t.Unix()), !t.IsZero() }

// countRefusals returns the counter of refused handshakes.
func countRefusals(meter metric.Meter) (handshakeCounter, error) {
	counter, err := meter.Int64Counter("cardvault.server.handshakes.refused",
		metric.WithUnit("{handshake}"), metric.WithDescription("Connections turned away, by reason."))
	if err != nil {
		return nil, fmt.Errorf("metric of refused handshakes: %w", err)
	}
	return func(reason string) {
		counter.Add(context.Background(), 1, metric.WithAttributes(attribute.String("reason", reason)))
	}, nil
}
