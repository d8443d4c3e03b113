package keyring_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/crypto/keyring"
)

// usesLimit is 2^30, written out: a change of keyring.UsesLimit has to be meant.
const usesLimit = 1 << 30

// The successor takes over by itself, without a call that waits or fails.
func TestSuccessorTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		first := b.dataKey(t)
		time.Sleep(cryptoperiod/10*9 - time.Second)
		if key := b.dataKey(t); key.ID != first.ID {
			t.Error("the successor came early")
		}
		time.Sleep(keyring.Staleness)
		second := b.dataKey(t)
		if second.ID == first.ID {
			t.Fatal("no successor after nine tenths of the cryptoperiod")
		}
		if state := b.store.version(t, first.ID).State; state != keyring.StateRetiring {
			t.Errorf("the first key is %s", state)
		}
		if _, err := b.ring.DataKeyByID(t.Context(), "acme", first.ID); err != nil {
			t.Errorf("opening under the first key: %v", err)
		}
	})
}

// Without a successor, since the KEK wraps nothing, a key seals to the end of its
// cryptoperiod and not longer, though it is still at hand.
func TestEndedKeySealsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		first := b.dataKey(t)
		end := time.Now().Add(cryptoperiod)
		b.kek.refuseWraps(errOutage)
		time.Sleep(cryptoperiod - maxAge/2)
		if key := b.dataKey(t); key.ID != first.ID {
			t.Fatal("a successor out of nowhere")
		}
		time.Sleep(time.Until(end) - time.Second)
		b.dataKey(t) // is known to be active until after its end
		time.Sleep(time.Second)
		if key, err := b.ring.DataKey(t.Context(), "acme", 1); !errors.Is(err, keyring.ErrUnavailable) {
			t.Fatalf("after the cryptoperiod: %v, %v", key, err)
		}
		if len(b.reports()) == 0 || !errors.Is(b.reports()[0], errOutage) {
			t.Errorf("nobody was told: %v", b.reports())
		}
		if _, err := b.ring.DataKeyByID(t.Context(), "acme", first.ID); err != nil {
			t.Errorf("opening under the ended key: %v", err)
		}
		b.kek.refuseWraps(nil)
		if key := b.dataKey(t); key.ID == first.ID {
			t.Error("the ended key seals again")
		}
	})
}

// A rotation by another replica is known within Staleness.
func TestRotationElsewhereIsKnownInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		first := b.dataKey(t)
		other := b.replica(t)
		b.store.edit(t, first.ID, func(v *keyring.Version) { v.Uses = usesLimit / 10 * 9 })
		second, err := other.DataKey(t.Context(), "acme", 1)
		if err != nil {
			t.Fatal(err)
		}
		if second.ID == first.ID {
			t.Fatal("no successor after nine tenths of the uses")
		}
		time.Sleep(keyring.Staleness)
		if key := b.dataKey(t); key.ID != second.ID {
			t.Error("the other replica still seals under the first key")
		}
	})
}

// SP 800-38D §8.3: the uses end at the limit, whatever was known of them before.
func TestUsesEndAtTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		first := b.dataKey(t)
		b.store.edit(t, first.ID, func(v *keyring.Version) { v.Uses = usesLimit - 1 }) // other replicas spent them
		key, err := b.ring.DataKey(t.Context(), "acme", 1<<16)
		if err != nil {
			t.Fatal(err)
		}
		if key.ID == first.ID {
			t.Error("the first key goes past its limit")
		}
		if uses := b.store.version(t, first.ID).Uses; uses != usesLimit-1 {
			t.Errorf("uses of the first key: %d", uses)
		}
	})
}

func TestSpentKeyWithoutItsSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		first := b.dataKey(t)
		b.store.edit(t, first.ID, func(v *keyring.Version) { v.Uses = usesLimit })
		b.kek.refuseWraps(errOutage)
		if _, err := b.replica(t).DataKey(t.Context(), "acme", 1); !errors.Is(err, keyring.ErrUnavailable) {
			t.Errorf("sealing under a spent key: %v", err)
		}
	})
}

func TestFingerprintAndRangeKeysHaveNoEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		prints, err := b.ring.FingerprintKeys(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		key, err := b.ring.RangeKey(t.Context(), "acme", "1")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * cryptoperiod)
		later, err := b.ring.FingerprintKeys(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		same, err := b.ring.RangeKey(t.Context(), "acme", "1")
		if err != nil {
			t.Fatal(err)
		}
		if later.Current().ID != prints.Current().ID || same.ID != key.ID {
			t.Error("a key that must stay was replaced")
		}
	})
}

// Reading the row again does not throw away the uses reserved before.
func TestReadingAgainKeepsTheReservedUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		for range 100 {
			b.dataKey(t)
			time.Sleep(keyring.Staleness / 2)
			synctest.Wait()
		}
		if b.store.reads < 100 || b.store.reserved != 1 {
			t.Errorf("%d reads and %d reservations", b.store.reads, b.store.reserved)
		}
	})
}

// A change whose outcome the store could not tell: the uses count, and are not used.
func TestUnknownOutcomeOfAReservation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		key := b.dataKey(t)
		other := b.replica(t)
		b.store.fail(nil, errOutage)
		if _, err := other.DataKey(t.Context(), "acme", 1); !errors.Is(err, errOutage) {
			t.Fatal(err)
		}
		b.store.fail(nil, nil)
		if _, err := other.DataKey(t.Context(), "acme", 1); err != nil {
			t.Fatal(err)
		}
		if uses := b.store.version(t, key.ID).Uses; uses != 3<<16 {
			t.Errorf("%d uses, want a block each for one ring, the lost answer and the other ring", uses)
		}
	})
}

// Over replicas, restarts, losses and ages the stored count is never below what
// was handed out.
func TestUsesAreNeverBelowTheTruth(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := newLedger(t)
		defer l.close()
		rt.Repeat(map[string]func(*rapid.T){
			"seal": func(rt *rapid.T) {
				ring := rapid.SampledFrom(l.rings).Draw(rt, "ring")
				l.seal(t.Context(), ring, rapid.OneOf(rapid.IntRange(1, 3), rapid.IntRange(1, 1<<20)).Draw(rt, "uses"))
			},
			"crash": func(rt *rapid.T) { l.crash(t, rapid.IntRange(0, len(l.rings)-1).Draw(rt, "ring")) },
			"fail": func(rt *rapid.T) {
				outcome := rapid.SampledFrom([]error{nil, errOutage})
				l.store.fail(outcome.Draw(rt, "before"), outcome.Draw(rt, "after"))
			},
			"wait": func(rt *rapid.T) { l.now.Add(rapid.Int64Range(1, int64(cryptoperiod)).Draw(rt, "wait")) },
			"": func(rt *rapid.T) {
				for id, uses := range l.truth {
					if stored := l.store.version(t, id).Uses; stored < uses || stored > usesLimit {
						rt.Fatalf("%d uses handed out, %d stored", uses, stored)
					}
				}
			},
		})
	})
}

// ledger knows the uses that two replicas were truly given.
type ledger struct {
	kek   *kek
	store *store
	now   atomic.Int64
	rings []*keyring.Ring
	truth map[keyring.ID]int64
}

func newLedger(t *testing.T) *ledger {
	t.Helper()
	l := &ledger{kek: newKEK(t), store: &store{}, rings: make([]*keyring.Ring, 2), truth: make(map[keyring.ID]int64)}
	for i := range l.rings {
		l.start(t, i)
	}
	return l
}

func (l *ledger) start(t *testing.T, i int) {
	t.Helper()
	ring, err := keyring.New(keyring.Config{
		KEK: l.kek, Store: l.store, Clock: func() time.Time { return time.Unix(0, l.now.Load()) },
		MaxAge: maxAge, DataCryptoperiod: cryptoperiod,
	})
	if err != nil {
		t.Fatal(err)
	}
	l.rings[i] = ring
}

func (l *ledger) seal(ctx context.Context, ring *keyring.Ring, uses int) {
	if key, err := ring.DataKey(ctx, "acme", uses); err == nil {
		l.truth[key.ID] += int64(uses)
	}
}

func (l *ledger) crash(t *testing.T, i int) {
	t.Helper()
	l.rings[i].Close()
	l.start(t, i)
}

func (l *ledger) close() {
	for _, ring := range l.rings {
		ring.Close()
	}
}
