package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/cardvault/cardvault/crypto/keyring"
)

const (
	// keyInterval is how old the metrics of keys are at most.
	keyInterval = time.Minute
	// keyTimeout bounds one look at the keys.
	keyTimeout = 30 * time.Second
	// maxEnding bounds the data keys that are seen to in one look.
	maxEnding = 100

	alarmKeyEnding = "data key near its end without a successor"
	alarmKeys      = "keys not counted"
)

// keyWatch looks at the keys of all tenants once a minute: it counts them for the
// metrics, sees to it that data keys near their end have a successor, and raises an
// alarm for those that get none.
//
// The ring makes a successor when a tenant seals. This makes it for tenants that do
// not, so that an active key past its time always means that something is wrong.
type keyWatch struct {
	store        Store
	keys         *keyring.Ring
	clock        func() time.Time
	cryptoperiod time.Duration
	alarms       *alarms
	counts       atomic.Pointer[[]KeyCount] // nil: not counted yet

	stop context.CancelFunc
	done chan struct{}
}

// run looks at once, and then at each interval, until close.
func (w *keyWatch) run(ctx context.Context) {
	ctx, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	w.done = make(chan struct{})
	go func() {
		defer close(w.done)
		ticker := time.NewTicker(keyInterval)
		defer ticker.Stop()
		for {
			if err := w.look(ctx); err != nil && ctx.Err() == nil {
				w.alarms.raise(ctx, alarmKeys, err)
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	}()
}

// close ends run and waits for it.
func (w *keyWatch) close() {
	w.stop()
	<-w.done
}

func (w *keyWatch) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, keyTimeout)
	defer cancel()
	counts, err := w.store.CountKeys(ctx)
	if err != nil {
		return err
	}
	w.counts.Store(&counts)
	sealing, ok := sealingKeys(counts)
	if !ok || !w.past(sealing, 90) {
		return nil
	}
	return w.see(ctx)
}

// see has the ring make what successors are missing, and tells of the keys that go
// on without.
func (w *keyWatch) see(ctx context.Context) error {
	ending, err := w.ending(ctx, 90)
	if err != nil {
		return err
	}
	w.succeed(ctx, ending)
	late, err := w.ending(ctx, 95)
	if err != nil || len(late) == 0 {
		return err
	}
	w.alarms.raise(ctx, alarmKeyEnding, fmt.Errorf("%d active data keys are past 95 %% of their cryptoperiod or uses", len(late)),
		slog.String("tenant", late[0].Tenant), slog.String("key", late[0].ID.String()))
	return nil
}

// succeed asks for the keys' successors, which makes them. A failure that lasts
// shows by what is late.
func (w *keyWatch) succeed(ctx context.Context, ending []KeyListRow) {
	ctx, cancel := context.WithTimeout(ctx, keyTimeout/2)
	defer cancel()
	for _, key := range ending {
		_, _ = w.keys.DataKey(ctx, key.Tenant, 1)
	}
}

// ending returns data keys that have had so much of their cryptoperiod or uses, in
// percent, and no successor.
func (w *keyWatch) ending(ctx context.Context, percent int64) ([]KeyListRow, error) {
	created, uses := w.limits(percent)
	return w.store.EndingKeys(ctx, keyring.PurposeData.String(), created, uses, maxEnding)
}

// past reports whether one of the keys has had so much, in percent.
func (w *keyWatch) past(c KeyCount, percent int64) bool {
	created, uses := w.limits(percent)
	return !c.Oldest.After(created) || c.MostUses >= uses
}

// limits returns when a key was created, or how many uses it has, that has had so
// much, in percent. At 90 the ring makes the successor.
func (w *keyWatch) limits(percent int64) (created time.Time, uses int64) {
	return w.clock().Add(-w.cryptoperiod / 100 * time.Duration(percent)), keyring.UsesLimit / 100 * percent
}

// sealingKeys returns what the active data keys have in common; false: there are
// none.
func sealingKeys(counts []KeyCount) (all KeyCount, ok bool) {
	for _, c := range counts {
		if purposeOf(c.Purpose) != keyring.PurposeData || stateOf(c.State) != keyring.StateActive {
			continue
		}
		if !ok || c.Oldest.Before(all.Oldest) {
			all.Oldest = c.Oldest
		}
		all.MostUses = max(all.MostUses, c.MostUses)
		ok = true
	}
	return all, ok
}

// observe makes the metrics. None is of one tenant or key: their number has no
// bound.
func (w *keyWatch) observe(meter metric.Meter) error {
	_, err := meter.Int64ObservableGauge("cardvault.keys", metric.WithUnit("{key}"),
		metric.WithDescription("Key versions, by purpose and state."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			w.observeCounts(o)
			return nil
		}))
	_, periodErr := meter.Float64ObservableGauge("cardvault.data_key.cryptoperiod.left", metric.WithUnit("s"),
		metric.WithDescription("What is left of the cryptoperiod of the data key that ends first, of those that seal; negative: it is over."),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			if sealing, ok := w.sealing(); ok {
				o.Observe(sealing.Oldest.Add(w.cryptoperiod).Sub(w.clock()).Seconds())
			}
			return nil
		}))
	_, usesErr := meter.Int64ObservableGauge("cardvault.data_key.uses.left", metric.WithUnit("{use}"),
		metric.WithDescription("What is left of the uses of the data key that has the fewest left, of those that seal."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			if sealing, ok := w.sealing(); ok {
				o.Observe(keyring.UsesLimit - sealing.MostUses)
			}
			return nil
		}))
	if err := errors.Join(err, periodErr, usesErr); err != nil {
		return fmt.Errorf("metrics of keys: %w", err)
	}
	return nil
}

func (w *keyWatch) sealing() (KeyCount, bool) {
	counts := w.counts.Load()
	if counts == nil {
		return KeyCount{}, false
	}
	return sealingKeys(*counts)
}

// observeCounts tells of every purpose and state, so that none that has gone stays
// as it was.
func (w *keyWatch) observeCounts(o metric.Int64Observer) {
	counts := w.counts.Load()
	if counts == nil {
		return
	}
	for _, purpose := range []keyring.Purpose{keyring.PurposeData, keyring.PurposeFingerprint, keyring.PurposeRange} {
		for _, state := range []keyring.State{keyring.StateActive, keyring.StateRetiring, keyring.StateRetired, keyring.StateDestroyed} {
			keys := int64(0)
			for _, c := range *counts {
				if purposeOf(c.Purpose) == purpose && stateOf(c.State) == state {
					keys += c.Keys
				}
			}
			o.Observe(keys, metric.WithAttributes(
				attribute.String("purpose", purpose.String()), attribute.String("state", state.String())))
		}
	}
}
