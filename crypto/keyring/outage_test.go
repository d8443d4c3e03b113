package keyring_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardvault/cardvault/crypto/keyring"
)

func containsWord(err error, word string) bool { return strings.Contains(err.Error(), word) }

// P11: cached keys serve for a bounded time without the KEK, and not one moment
// longer; everything comes back with it.
func TestOutageOfTheKEK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		key := b.dataKey(t)
		unwrapped := time.Now()
		b.kek.fail(errOutage)

		time.Sleep(maxAge - time.Nanosecond)
		b.dataKey(t)
		if _, err := b.ring.DataKeyByID(t.Context(), "acme", key.ID); err != nil {
			t.Fatalf("%v after the unwrap: %v", time.Since(unwrapped), err)
		}
		time.Sleep(time.Nanosecond)
		for what, call := range map[string]func() error{
			"seal": func() error { _, err := b.ring.DataKey(t.Context(), "acme", 1); return err },
			"open": func() error { _, err := b.ring.DataKeyByID(t.Context(), "acme", key.ID); return err },
		} {
			if err := call(); !errors.Is(err, keyring.ErrUnavailable) || !errors.Is(err, errOutage) {
				t.Errorf("%s at the end of MaxAge: %v", what, err)
			}
		}
		b.kek.fail(nil)
		if again := b.dataKey(t); again.ID != key.ID {
			t.Error("another key after the outage")
		}
	})
}

// An outage burns no uses: they are reserved when there is a key to use.
func TestOutageBurnsNoUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		key := b.dataKey(t)
		before := b.store.version(t, key.ID).Uses
		other := b.replica(t)
		b.kek.fail(errOutage)
		for range 10 {
			if _, err := other.DataKey(t.Context(), "acme", 1); !errors.Is(err, keyring.ErrUnavailable) {
				t.Fatal(err)
			}
		}
		if uses := b.store.version(t, key.ID).Uses; uses != before {
			t.Errorf("the outage used %d", uses-before)
		}
	})
}

func TestHalfOldKeyIsRenewedInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.dataKey(t)
		time.Sleep(maxAge/2 - time.Second)
		b.dataKey(t)
		synctest.Wait()
		if _, unwraps := b.kek.calls(); unwraps != 1 {
			t.Fatalf("%d unwraps before half of MaxAge", unwraps)
		}
		time.Sleep(time.Second)
		release := make(chan struct{})
		b.kek.beforeUnwrap(func(context.Context) error { <-release; return nil })
		for range 20 {
			b.dataKey(t) // does not wait for the KEK
		}
		synctest.Wait()
		if _, unwraps := b.kek.calls(); unwraps != 2 {
			t.Fatalf("%d unwraps at half of MaxAge, want one more", unwraps)
		}
		close(release)
		synctest.Wait()
		b.kek.fail(errOutage)
		time.Sleep(maxAge - time.Second) // the renewal began a new life
		b.dataKey(t)
	})
}

// The KEK's word is as old as the question: a slow answer makes no key younger.
func TestAgeCountsFromTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.kek.beforeUnwrap(func(context.Context) error { time.Sleep(2 * time.Second); return nil })
		b.dataKey(t)
		b.kek.fail(errOutage)
		time.Sleep(maxAge - 2*time.Second)
		if _, err := b.ring.DataKey(t.Context(), "acme", 1); !errors.Is(err, keyring.ErrUnavailable) {
			t.Errorf("MaxAge after the question: %v", err)
		}
	})
}

// A KEK that is coming back is asked once a second for each key, not once a call.
func TestFailedRenewalPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.dataKey(t)
		time.Sleep(maxAge / 2)
		b.kek.fail(errOutage)
		for range 100 {
			b.dataKey(t)
			synctest.Wait()
			time.Sleep(100 * time.Millisecond)
		}
		if _, unwraps := b.kek.calls(); unwraps != 1+10 {
			t.Errorf("%d unwraps in 10 s of outage, want 10", unwraps-1)
		}
		reports := b.reports()
		if len(reports) != 10 || !errors.Is(reports[0], keyring.ErrUnavailable) || !errors.Is(reports[0], errOutage) {
			t.Errorf("reported %v", reports)
		}
	})
}

// A definite no ends the key at once, however young it is.
func TestDenialEndsTheKeyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.dataKey(t)
		time.Sleep(maxAge / 2)
		b.kek.fail(keyring.ErrDenied)
		b.dataKey(t) // still serves, and asks in the background
		synctest.Wait()
		if _, err := b.ring.DataKey(t.Context(), "acme", 1); !errors.Is(err, keyring.ErrDenied) {
			t.Errorf("after the denial: %v", err)
		}
	})
}

// One who stops waiting leaves the unwrap running for the others, and a KEK that
// hangs holds nobody for ever.
func TestWaitingForAKEKThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		key := b.dataKey(t)
		cold := b.replica(t)
		release := make(chan struct{})
		b.kek.beforeUnwrap(func(ctx context.Context) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := cold.DataKeyByID(ctx, "acme", key.ID)
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, keyring.ErrUnavailable) {
				t.Errorf("the caller's own deadline: %v", err)
			}
		})
		wg.Go(func() {
			if _, err := cold.DataKeyByID(t.Context(), "acme", key.ID); err != nil {
				t.Errorf("the patient caller: %v", err)
			}
		})
		time.Sleep(2 * time.Second)
		close(release)
		wg.Wait()

		hung := b.replica(t)
		b.kek.beforeUnwrap(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		start := time.Now()
		if _, err := hung.DataKeyByID(t.Context(), "acme", key.ID); !errors.Is(err, keyring.ErrUnavailable) {
			t.Errorf("a KEK that never answers: %v", err)
		}
		if waited := time.Since(start); waited > 10*time.Second {
			t.Errorf("waited %v for a KEK that never answers", waited)
		}
	})
}

// What the store last said serves for Staleness, and not longer.
func TestOutageOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		key := b.dataKey(t)
		b.store.fail(errOutage, nil)
		time.Sleep(keyring.Staleness - time.Nanosecond)
		b.dataKey(t)
		time.Sleep(time.Nanosecond)
		if _, err := b.ring.DataKey(t.Context(), "acme", 1); !errors.Is(err, errOutage) || errors.Is(err, keyring.ErrUnavailable) {
			t.Errorf("sealing without a store: %v", err)
		}
		if _, err := b.ring.DataKeyByID(t.Context(), "acme", key.ID); !errors.Is(err, errOutage) {
			t.Errorf("opening without a store: %v", err)
		}
		b.store.fail(nil, nil)
		b.dataKey(t)
	})
}

// A clock that is set back must not make a key young again.
func TestClockGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, offset := newBench(t), time.Duration(0)
		ring, err := keyring.New(keyring.Config{
			KEK: b.kek, Store: b.store, MaxAge: maxAge, DataCryptoperiod: cryptoperiod,
			Clock: func() time.Time { return time.Now().Round(0).Add(offset) },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer ring.Close()
		if _, err := ring.DataKey(t.Context(), "acme", 1); err != nil {
			t.Fatal(err)
		}
		b.kek.fail(errOutage)
		offset = -10 * maxAge
		if _, err := ring.DataKey(t.Context(), "acme", 1); !errors.Is(err, keyring.ErrUnavailable) {
			t.Errorf("with the clock set back: %v", err)
		}
	})
}
