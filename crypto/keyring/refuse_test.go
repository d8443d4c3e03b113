package keyring_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardvault/cardvault/crypto/keyring"
)

// Rows that were edited behind the ring's back are refused, never used (P5).
func TestEditedRowsAreRefused(t *testing.T) {
	tests := []struct {
		name string
		edit func(v *keyring.Version, other keyring.Version)
		want error
	}{
		{"destroyed", func(v *keyring.Version, _ keyring.Version) { v.State = keyring.StateDestroyed }, keyring.ErrRefused},
		{"no state", func(v *keyring.Version, _ keyring.Version) { v.State = 0 }, keyring.ErrRefused},
		{"unknown state", func(v *keyring.Version, _ keyring.Version) { v.State = 99 }, keyring.ErrRefused},
		{"wrapped by another kind of KEK", func(v *keyring.Version, _ keyring.Version) { v.KEKKind = "local" }, keyring.ErrRefused},
		{"no kind of KEK", func(v *keyring.Version, _ keyring.Version) { v.KEKKind = "" }, keyring.ErrRefused},
		{"another purpose", func(v *keyring.Version, _ keyring.Version) { v.Scope.Purpose = keyring.PurposeFingerprint }, keyring.ErrRefused},
		{"no purpose", func(v *keyring.Version, _ keyring.Version) { v.Scope.Purpose = 0 }, keyring.ErrRefused},
		{"a subject", func(v *keyring.Version, _ keyring.Version) { v.Scope.Subject = "1" }, keyring.ErrRefused},
		{"another tenant", func(v *keyring.Version, _ keyring.Version) { v.Scope.Tenant = "evil" }, keyring.ErrNoKey},
		{"another key's bytes", func(v *keyring.Version, other keyring.Version) { v.Wrapped = other.Wrapped }, keyring.ErrDenied},
		{"bytes altered", func(v *keyring.Version, _ keyring.Version) {
			v.Wrapped = append([]byte{^v.Wrapped[0]}, v.Wrapped[1:]...)
		}, keyring.ErrDenied},
		{"no bytes", func(v *keyring.Version, _ keyring.Version) { v.Wrapped = nil }, keyring.ErrDenied},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				key := b.dataKey(t)
				foreign, err := b.ring.DataKey(t.Context(), "evil", 1)
				if err != nil {
					t.Fatal(err)
				}
				other := b.store.version(t, foreign.ID)
				b.store.edit(t, key.ID, func(v *keyring.Version) { tt.edit(v, other) })
				if got, err := b.replica(t).DataKeyByID(t.Context(), "acme", key.ID); !errors.Is(err, tt.want) || got != nil {
					t.Errorf("DataKeyByID = %v, %v; want %v", got, err, tt.want)
				}
			})
		})
	}
}

// A store that answers with the wrong row is not believed.
func TestRowOfAnotherIDIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		key := b.dataKey(t)
		lying := &lyingStore{store: b.store, answer: b.store.version(t, key.ID)}
		ring, err := keyring.New(keyring.Config{
			KEK: b.kek, Store: lying, Clock: time.Now, MaxAge: maxAge, DataCryptoperiod: cryptoperiod,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer ring.Close()
		if _, err := ring.DataKeyByID(t.Context(), "acme", keyring.NewID()); !errors.Is(err, keyring.ErrRefused) {
			t.Errorf("another id: %v", err)
		}
		if _, err := ring.DataKeyByID(t.Context(), "evil", key.ID); !errors.Is(err, keyring.ErrRefused) {
			t.Errorf("another tenant: %v", err)
		}
		if _, err := ring.DataKey(t.Context(), "evil", 1); !errors.Is(err, keyring.ErrRefused) {
			t.Errorf("active key of another tenant: %v", err)
		}
		if _, err := ring.FingerprintKeys(t.Context(), "acme"); !errors.Is(err, keyring.ErrRefused) {
			t.Errorf("data key for a fingerprint key: %v", err)
		}
		lying.answer.State = keyring.StateRetiring
		if _, err := ring.DataKey(t.Context(), "acme", 1); !errors.Is(err, keyring.ErrRefused) {
			t.Errorf("sealing under a retiring key: %v", err)
		}
	})
}

func TestUnknownKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		key := b.dataKey(t)
		if _, err := b.ring.DataKeyByID(t.Context(), "acme", keyring.NewID()); !errors.Is(err, keyring.ErrNoKey) {
			t.Errorf("unknown id: %v", err)
		}
		if _, err := b.ring.DataKeyByID(t.Context(), "evil", key.ID); !errors.Is(err, keyring.ErrNoKey) {
			t.Errorf("foreign id: %v", err)
		}
	})
}

// A destruction reaches a replica that holds the key within Staleness.
func TestDestructionIsKnownInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		key := b.dataKey(t)
		if _, err := b.ring.DataKeyByID(t.Context(), "acme", key.ID); err != nil {
			t.Fatal(err)
		}
		b.store.edit(t, key.ID, func(v *keyring.Version) { v.State, v.Wrapped = keyring.StateDestroyed, nil })
		time.Sleep(keyring.Staleness)
		if _, err := b.ring.DataKeyByID(t.Context(), "acme", key.ID); !errors.Is(err, keyring.ErrRefused) {
			t.Errorf("a destroyed key: %v", err)
		}
	})
}

// Retiring and retired versions still open.
func TestFormerKeysOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		key := b.dataKey(t)
		for _, state := range []keyring.State{keyring.StateRetiring, keyring.StateRetired} {
			b.store.edit(t, key.ID, func(v *keyring.Version) { v.State = state })
			if _, err := b.replica(t).DataKeyByID(t.Context(), "acme", key.ID); err != nil {
				t.Errorf("%s: %v", state, err)
			}
		}
	})
}
