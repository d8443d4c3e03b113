package vault_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/secret"
	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/ledger"
)

const year = 365 * 24 * time.Hour

// watched starts one more replica, which looks at the keys at once, and returns it with
// what reads its metrics.
func (s *site) watched(t *testing.T, store vault.Store, kek keyring.KEK) (*vault.Vault, func() map[string]float64) {
	t.Helper()
	policy, err := access.Parse("demo.cedar", access.DemoPolicy())
	if err != nil {
		t.Fatal(err)
	}
	reader := sdkmetric.NewManualReader()
	v, err := vault.New(t.Context(), vault.Config{
		Store: store, KEK: kek, KeyMaxAge: time.Hour, DataCryptoperiod: year,
		Ledger: ledger.Config{Store: s.store, Signer: s.signer, Origin: logOrigin},
		Policy: policy, Clock: s.clock.Now, Log: slog.New(slog.NewJSONHandler(io.MultiWriter(s.log, t.Output()), nil)),
		Meter: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close(context.Background()) })
	return v, func() map[string]float64 { return keyMetrics(t, reader) }
}

// keyMetrics reads the metrics of keys, by name, purpose and state.
func keyMetrics(t *testing.T, reader sdkmetric.Reader) map[string]float64 {
	t.Helper()
	var scraped metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &scraped); err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, scope := range scraped.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					purpose, _ := p.Attributes.Value("purpose")
					state, _ := p.Attributes.Value("state")
					values[strings.TrimSpace(m.Name+" "+purpose.AsString()+" "+state.AsString())] = float64(p.Value)
				}
			case metricdata.Gauge[float64]:
				values[m.Name] = data.DataPoints[0].Value
			}
		}
	}
	return values
}

// eventually waits until something that runs beside the test is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for begin := time.Now(); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestMetricsOfKeys(t *testing.T) {
	v, s := newVault(t)
	issue(t, v, 1)
	createOther(t, v)
	s.clock.Advance(time.Hour)
	_, read := s.watched(t, s.store, s.kek)
	eventually(t, "keys in the metrics", func() bool { return read()["cardvault.keys data active"] == 2 })
	got := read()
	for name, want := range map[string]float64{
		"cardvault.keys data retiring":         0,
		"cardvault.keys fingerprint active":    2,
		"cardvault.keys range active":          1,
		"cardvault.keys range destroyed":       0,
		"cardvault.data_key.uses.left":         1<<30 - 1<<16,
		"cardvault.data_key.cryptoperiod.left": (year - time.Hour).Seconds(),
	} {
		if value, ok := got[name]; !ok || math.Abs(value-want) > 1e-3 {
			t.Errorf("%s is %v (there: %t), want %v", name, value, ok, want)
		}
	}
	s.clock.Advance(2 * year)
	if left := read()["cardvault.data_key.cryptoperiod.left"]; math.Abs(left+(year+time.Hour).Seconds()) > 1e-3 {
		t.Errorf("after its end %v s are left", left)
	}
}

func TestNoKeysNoMetricsOfThem(t *testing.T) {
	s := newSite(t)
	_, read := s.watched(t, s.store, s.kek)
	eventually(t, "keys in the metrics", func() bool { _, ok := read()["cardvault.keys data active"]; return ok })
	for _, name := range []string{"cardvault.data_key.uses.left", "cardvault.data_key.cryptoperiod.left"} {
		if value, ok := read()[name]; ok {
			t.Errorf("%s is %v, with no key", name, value)
		}
	}
}

// TestIdleTenantsKeyIsSucceeded: the key of a tenant that seals no more gets its
// successor all the same, so that it is nothing to be alarmed about.
func TestIdleTenantsKeyIsSucceeded(t *testing.T) {
	v, s := newVault(t)
	issue(t, v, 1)
	createOther(t, v)
	s.clock.Advance(2 * year)
	watching, _ := s.watched(t, s.store, s.kek)
	eventually(t, "successors", func() bool {
		counts, err := s.store.CountKeys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range counts {
			if c.Purpose == "data" && c.State == "retiring" && c.Keys == 2 {
				return true
			}
		}
		return false
	})
	if err := watching.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(s.log.String(), "near its end") {
		t.Error("alarmed about it")
	}
}

// noNewKeys is a KEK that wraps no new key.
type noNewKeys struct{ keyring.KEK }

func (k noNewKeys) Wrap(ctx context.Context, binding []byte, key secret.Bytes) ([]byte, string, error) {
	if bytes.Contains(binding, []byte("cardvault/key/v1")) {
		return nil, "", keyring.ErrUnavailable
	}
	return k.KEK.Wrap(ctx, binding, key)
}

// lookedStore tells of each look for keys near their end.
type lookedStore struct {
	vault.Store

	looked chan struct{}
}

func (s lookedStore) EndingKeys(ctx context.Context, purpose string, created time.Time, uses int64, limit int) ([]vault.KeyListRow, error) {
	rows, err := s.Store.EndingKeys(ctx, purpose, created, uses, limit)
	s.looked <- struct{}{}
	return rows, err
}

// TestKeyNearItsEndRaisesAnAlarm, by time and by uses, where it can get no successor;
// and not before.
func TestKeyNearItsEndRaisesAnAlarm(t *testing.T) {
	for name, tc := range map[string]struct {
		age   time.Duration
		uses  int64
		alarm bool
	}{
		"by time":      {age: year / 100 * 96, alarm: true},
		"after it":     {age: 2 * year, alarm: true},
		"by uses":      {uses: 1 << 30 / 100 * 96, alarm: true},
		"not yet":      {age: year / 100 * 94},
		"not yet used": {uses: 1 << 30 / 100 * 94},
	} {
		t.Run(name, func(t *testing.T) {
			v, s := newVault(t)
			issue(t, v, 1)
			key := listKeys(t, v, 100)["demo data"]
			if tc.uses > 0 {
				if err := s.store.ReserveKeyUses(t.Context(), "demo", key.ID, tc.uses-key.Limit.Uses, 1<<30); err != nil {
					t.Fatal(err)
				}
			}
			s.clock.Advance(tc.age)
			store := lookedStore{s.store, make(chan struct{}, 2)}
			watching, _ := s.watched(t, store, noNewKeys{s.kek})
			told := func(what string) func() bool {
				return func() bool { return strings.Contains(s.log.String(), what) }
			}
			const alarm = `"alarm":"data key near its end without a successor"`
			if tc.alarm {
				eventually(t, "the alarm", told(alarm))
				if line := s.log.String(); !strings.Contains(line, key.ID.String()) || !strings.Contains(line, `"tenant":"demo"`) {
					t.Errorf("the alarm does not say which key: %s", line)
				}
				return
			}
			<-store.looked // for keys that want a successor
			<-store.looked // for those that got none; the look ends before the replica does
			if !told(`"alarm":"key not renewed"`)() {
				t.Error("the ring was not asked")
			}
			if err := watching.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if told(alarm)() {
				t.Error("alarmed too early")
			}
		})
	}
}
