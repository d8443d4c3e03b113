package ship_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/cardvault/cardvault/vault/ship"
)

// The log grows by one entry every 100 ms; the sink is called once a second, and nothing waits longer.
func TestDeliveriesAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTestLog(t, "s", 1)
		sink := newMemory()
		var sizes []int
		var last time.Duration
		begin := time.Now()
		sink.before = func(_ context.Context, events []ship.Event) (int, error) {
			sizes, last = append(sizes, len(events)), time.Since(begin)
			return len(events), nil
		}
		s, err := ship.New(config(l, t.TempDir(), map[string]ship.Sink{"a": sink}))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		for range 99 {
			time.Sleep(100 * time.Millisecond)
			l.grow(1)
		}
		grown := time.Since(begin)
		time.Sleep(2 * time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		sink.check(t, l)
		if len(sizes) < 8 || len(sizes) > 11 || last > grown+time.Second {
			t.Errorf("deliveries of %v entries, the last %s after the log had all", sizes, last-grown)
		}
	})
}

// A sink that is down is tried again after half a second, then less and less often, up to every 30 seconds.
func TestRetriesSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTestLog(t, "s", 1)
		sink := newMemory()
		var at []time.Time
		sink.before = func(context.Context, []ship.Event) (int, error) {
			at = append(at, time.Now())
			return 0, errDown
		}
		s, err := ship.New(config(l, t.TempDir(), map[string]ship.Sink{"a": sink}))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if err := s.Run(ctx); err != nil {
			t.Fatal(err)
		}
		longest := time.Second / 2
		for i := range at[1:] {
			if wait := at[i+1].Sub(at[i]); wait < longest/2 || wait > longest {
				t.Errorf("pause %d took %s, want %s to %s", i, wait, longest/2, longest)
			}
			longest = min(2*longest, 30*time.Second)
		}
		if len(at) < 20 {
			t.Errorf("tried %d times in 10 minutes", len(at))
		}
	})
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo(), otelprometheus.WithoutTargetInfo())
	if err != nil {
		t.Fatal(err)
	}
	l := newTestLog(t, "s", 30)
	well, dead := newMemory(), newMemory()
	dead.before = func(context.Context, []ship.Event) (int, error) { return 0, errDown }
	log := newRecorder()
	cfg := config(l, t.TempDir(), map[string]ship.Sink{"well": well, "dead": dead})
	cfg.Meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter)).Meter("test")
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	r := start(t, cfg)
	well.wait(t, 29)
	log.wait(t, "level=ERROR", "sink=dead")
	if err := r.end(t); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range families {
		text.WriteString(f.String() + "\n")
	}
	for _, name := range []string{"delivered_total", "lag_entries", "lag_age_seconds", "next", "failing"} {
		if !strings.Contains(text.String(), `"cardvault_ship_`+name+`"`) {
			t.Errorf("there is no %s in\n%s", name, text.String())
		}
	}
}
