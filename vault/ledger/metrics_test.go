package ledger_test

import (
	"context"
	"errors"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/cardvault/cardvault/vault/ledger"
)

// TestMetrics: what an operator sees while the log grows, waits and halts.
func TestMetrics(t *testing.T) {
	s := newSite(t)
	reader := sdk.NewManualReader()
	meter := sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test")
	w := newWitness(t, s.key.verifier)
	l := s.ledger(func(c *ledger.Config) { c.Meter, c.Witnesses = meter, w })
	sees := func(what string, want map[string]float64) {
		t.Helper()
		got := collect(t, reader)
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s: %s is %v, want %v", what, name, got[name], value)
			}
		}
	}
	a := s.writer()
	a.write(300)
	s.step(l)
	sees("covered", map[string]float64{
		"cardvault.log.size": 300, "cardvault.log.published": 300, "cardvault.log.lag": 0,
		"cardvault.log.halted": 0, "cardvault.log.extension": 300, "cardvault.log.refused_chains": 0,
	})
	w.down = errors.New("the witness is down")
	a.write(5)
	s.clock.Advance(90 * time.Second)
	_ = l.Step(t.Context())
	sees("not cosigned", map[string]float64{
		"cardvault.log.size": 305, "cardvault.log.published": 300, "cardvault.log.lag": 90, "cardvault.log.cosign_failures": 1,
	})
	w.down = nil
	s.writer().commit(1, badSeal)
	s.step(l)
	sees("cosigned", map[string]float64{
		"cardvault.log.published": 305, "cardvault.log.lag": 0, "cardvault.log.refused_chains": 1, "cardvault.alarms": 1,
	})
	s.edit("UPDATE log_head SET size = 200")
	_ = l.Step(t.Context())
	sees("halted", map[string]float64{"cardvault.log.halted": 1, "cardvault.alarms": 2})
}

// collect returns the sum of each metric's points.
func collect(t *testing.T, reader sdk.Reader) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	sums := map[string]float64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					sums[m.Name] += float64(p.Value)
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					sums[m.Name] += float64(p.Value)
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					sums[m.Name] += p.Value
				}
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					sums[m.Name] += float64(p.Sum)
				}
			}
		}
	}
	return sums
}

func TestConfigWantsItsParts(t *testing.T) {
	s := newSite(t)
	for name, take := range map[string]func(*ledger.Config){
		"Store": func(c *ledger.Config) { c.Store = nil }, "Signer": func(c *ledger.Config) { c.Signer = nil },
		"Origin": func(c *ledger.Config) { c.Origin = "" }, "Replica": func(c *ledger.Config) { c.Replica = [16]byte{} },
		"Verify": func(c *ledger.Config) { c.Verify = nil }, "Clock": func(c *ledger.Config) { c.Clock = nil },
		"Log": func(c *ledger.Config) { c.Log = nil }, "Meter": func(c *ledger.Config) { c.Meter = nil },
		"Record": func(c *ledger.Config) { c.Retention = time.Hour },
	} {
		cfg := s.config()
		take(&cfg)
		if _, err := ledger.New(cfg); err == nil {
			t.Errorf("without %s", name)
		}
	}
}
