package keyring_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardvault/cardvault/crypto/keyring"
)

func TestFirstNeedMakesTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		key := b.dataKey(t)
		v := b.store.version(t, key.ID)
		if want := (keyring.Scope{Purpose: keyring.PurposeData, Tenant: "acme"}); v.Scope != want {
			t.Errorf("scope %+v, want %+v", v.Scope, want)
		}
		if v.State != keyring.StateActive || v.KEKKind != "test" || v.KEKVersion != "1" || !v.Created.Equal(time.Now()) {
			t.Errorf("made %+v", v)
		}
		if other := b.dataKey(t); other.ID != key.ID {
			t.Error("the second call made another key")
		}
	})
}

// What one replica seals another opens, and after a restart too.
func TestReplicasShareKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		key := b.dataKey(t)
		sealed, err := key.Seal([]byte("card"), []byte("row"))
		if err != nil {
			t.Fatal(err)
		}
		other := b.replica(t)
		same, err := other.DataKeyByID(t.Context(), "acme", key.ID)
		if err != nil {
			t.Fatal(err)
		}
		if opened, err := same.Open(sealed, []byte("row")); err != nil || string(opened) != "card" || same.ID != key.ID {
			t.Errorf("the other replica opens it to %q, %v", opened, err)
		}
		mine, err := b.ring.FingerprintKeys(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := other.FingerprintKeys(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		if mine.Current().ID != theirs.Current().ID || mine.Current().Sum("x/v1") != theirs.Current().Sum("x/v1") {
			t.Error("replicas fingerprint differently")
		}
		here, err := b.ring.RangeKey(t.Context(), "acme", "range-1")
		if err != nil {
			t.Fatal(err)
		}
		there, err := other.RangeKey(t.Context(), "acme", "range-1")
		if err != nil {
			t.Fatal(err)
		}
		if here.ID != there.ID || !here.Secret.Equal(there.Secret) {
			t.Error("replicas permute differently")
		}
	})
}

// No two scopes share a key.
func TestEveryScopeHasItsOwnKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, ids := newBench(t), make(map[keyring.ID]bool)
		secrets := make(map[string]bool)
		for _, tenant := range []string{"acme", "acme2"} {
			key, err := b.ring.DataKey(t.Context(), tenant, 1)
			if err != nil {
				t.Fatal(err)
			}
			prints, err := b.ring.FingerprintKeys(t.Context(), tenant)
			if err != nil {
				t.Fatal(err)
			}
			ids[key.ID], ids[prints.Current().ID] = true, true
			for _, subject := range []string{"1", "2"} {
				key, err := b.ring.RangeKey(t.Context(), tenant, subject)
				if err != nil {
					t.Fatal(err)
				}
				ids[key.ID] = true
				secrets[string(key.Secret.Reveal())] = true
			}
		}
		if len(ids) != 8 || len(secrets) != 4 {
			t.Errorf("%d ids and %d range keys, want 8 and 4", len(ids), len(secrets))
		}
	})
}

// Never one KEK call a record.
func TestOneUnwrapServesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		key := b.dataKey(t)
		for range 10_000 {
			if _, err := b.ring.DataKeyByID(t.Context(), "acme", key.ID); err != nil {
				t.Fatal(err)
			}
			b.dataKey(t)
		}
		if wraps, unwraps := b.kek.calls(); wraps != 1 || unwraps != 1 {
			t.Errorf("%d wraps and %d unwraps, want 1 and 1", wraps, unwraps)
		}
		if b.store.reserved != 1 {
			t.Errorf("%d reservations for 10,001 uses, want 1", b.store.reserved)
		}
	})
}

func TestWaitersShareOneUnwrap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		key := b.dataKey(t)
		release := make(chan struct{})
		b.kek.beforeUnwrap(func(context.Context) error { <-release; return nil })
		cold := b.replica(t)

		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := cold.DataKeyByID(t.Context(), "acme", key.ID); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // all 50 wait
		close(release)
		wg.Wait()
		if _, unwraps := b.kek.calls(); unwraps != 2 {
			t.Errorf("%d unwraps, want one for each replica", unwraps)
		}
	})
}

// Two replicas meet a new tenant in the same moment: one key comes of it.
func TestReplicasRaceForTheFirstKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var arrived sync.WaitGroup
		arrived.Add(2)
		b.store.adding = func() { arrived.Done(); arrived.Wait() } // neither adds before both have read
		rings := []*keyring.Ring{b.ring, b.replica(t)}
		ids := make([]keyring.ID, len(rings))
		var wg sync.WaitGroup
		for i, ring := range rings {
			wg.Go(func() {
				key, err := ring.DataKey(t.Context(), "acme", 1)
				if err != nil {
					t.Error(err)
					return
				}
				ids[i] = key.ID
			})
		}
		wg.Wait()
		if ids[0] != ids[1] || len(b.store.versions) != 1 {
			t.Errorf("keys %v, %d versions", ids, len(b.store.versions))
		}
	})
}

// The bytes that pass between ring and KEK are wiped when the call is over.
func TestRawKeysAreWiped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.dataKey(t)
		if _, err := b.ring.FingerprintKeys(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		key, err := b.ring.RangeKey(t.Context(), "acme", "1")
		if err != nil {
			t.Fatal(err)
		}
		if len(b.kek.seen) != 6 {
			t.Fatalf("the KEK saw %d keys, want 3 to wrap and 3 unwrapped", len(b.kek.seen))
		}
		for i, raw := range b.kek.seen {
			if raw.Len() != 0 {
				t.Errorf("key %d was not wiped", i)
			}
		}
		if key.Secret.Len() != 32 {
			t.Error("the range key was wiped with its raw bytes")
		}
	})
}

// A key whose stored row does not unwrap never seals anything (P1).
func TestKeyIsUsedOnlyAfterItsRowUnwrapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.kek.beforeUnwrap(func(context.Context) error { return keyring.ErrDenied }) // may wrap, may not unwrap
		if key, err := b.ring.DataKey(t.Context(), "acme", 1); !errors.Is(err, keyring.ErrDenied) {
			t.Fatalf("sealing under %v, %v", key, err)
		}
		b.kek.beforeUnwrap(nil)
		b.dataKey(t)
		if len(b.store.versions) != 1 {
			t.Errorf("%d versions, want the first one to serve in the end", len(b.store.versions))
		}
	})
}

func TestCloseEndsTheRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		key := b.dataKey(t)
		hung := b.replica(t)
		b.kek.beforeUnwrap(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := hung.DataKeyByID(t.Context(), "acme", key.ID); err == nil {
				t.Error("a call that waited for the KEK came through")
			}
		})
		synctest.Wait()
		start := time.Now()
		hung.Close()
		wg.Wait()
		if waited := time.Since(start); waited != 0 {
			t.Errorf("Close waited %v for a KEK that hangs", waited)
		}
		b.ring.Close()
		b.ring.Close()
		if _, err := b.ring.DataKeyByID(t.Context(), "acme", key.ID); !errors.Is(err, keyring.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if _, err := b.ring.DataKey(t.Context(), "acme", 1); !errors.Is(err, keyring.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestNewRefusesAnIncompleteConfig(t *testing.T) {
	complete := keyring.Config{KEK: newKEK(t), Store: &store{}, Clock: time.Now, MaxAge: time.Hour, DataCryptoperiod: time.Hour}
	for field, spoil := range map[string]func(*keyring.Config){
		"KEK":              func(c *keyring.Config) { c.KEK = nil },
		"Store":            func(c *keyring.Config) { c.Store = nil },
		"Clock":            func(c *keyring.Config) { c.Clock = nil },
		"MaxAge":           func(c *keyring.Config) { c.MaxAge = 0 },
		"DataCryptoperiod": func(c *keyring.Config) { c.DataCryptoperiod = -1 },
	} {
		cfg := complete
		spoil(&cfg)
		if ring, err := keyring.New(cfg); err == nil || ring != nil || !containsWord(err, field) {
			t.Errorf("without %s: %v, %v", field, ring, err)
		}
	}
}

func TestDataKeyRefusesSillyUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		for _, uses := range []int{-1, 0, 1<<20 + 1} {
			if key, err := b.ring.DataKey(t.Context(), "acme", uses); err == nil {
				t.Errorf("%d uses: %v", uses, key.ID)
			}
		}
	})
}
