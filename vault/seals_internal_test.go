package vault

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/localkek"
	"github.com/cardvault/cardvault/crypto/secret"
	"github.com/cardvault/cardvault/vault/audit"
)

func newSeals(kek keyring.KEK) *seals { return &seals{kek: kek, keys: map[string]secret.Bytes{}} }

// sealed returns the tail of a short chain as a replica seals it.
func sealed(t *testing.T, kek keyring.KEK) audit.Tail {
	t.Helper()
	seal, err := newChainSeal(t.Context(), kek, uuid.New())
	if err != nil {
		t.Fatal(err)
	}
	chain, _ := audit.NewChain(seal.replica).Append(audit.Entry{Action: "One"}, time.Unix(1, 0))
	chain, _ = chain.Append(audit.Entry{Action: "Two"}, time.Unix(2, 0))
	return seal.tail(chain)
}

func newKEK(t *testing.T) *localkek.KEK {
	t.Helper()
	kek, err := localkek.Create(filepath.Join(t.TempDir(), "kek"))
	if err != nil {
		t.Fatal(err)
	}
	return kek
}

// TestSealBindsAllOfATail is what keeps a database administrator from beginning a
// chain or adding to one.
func TestSealBindsAllOfATail(t *testing.T) {
	t.Parallel()
	kek := newKEK(t)
	tail, other := sealed(t, kek), sealed(t, kek)
	s := newSeals(kek)
	for range 2 { // the second time with the key in memory
		if err := s.verify(t.Context(), tail); err != nil {
			t.Fatal(err)
		}
	}
	for name, forge := range map[string]func(*audit.Tail){
		"a longer chain":            func(f *audit.Tail) { f.Number++ },
		"a shorter chain":           func(f *audit.Tail) { f.Number-- },
		"another end":               func(f *audit.Tail) { f.Head[31] ^= 1 },
		"another replica":           func(f *audit.Tail) { f.Replica = uuid.New() },
		"another replica's key":     func(f *audit.Tail) { f.Key = other.Key },
		"another replica's place":   func(f *audit.Tail) { f.Replica = other.Replica },
		"a seal of another":         func(f *audit.Tail) { f.Seal = other.Seal },
		"no seal":                   func(f *audit.Tail) { f.Seal = audit.Hash{} },
		"a key that nothing opens":  func(f *audit.Tail) { f.Key = []byte("key") },
		"no key":                    func(f *audit.Tail) { f.Key = nil },
		"a key of another KEK kind": func(f *audit.Tail) { f.KEKKind = "transit" },
	} {
		for what, s := range map[string]*seals{"known": s, "fresh": newSeals(kek)} {
			forged := tail
			forge(&forged)
			if err := s.verify(t.Context(), forged); err == nil || errors.Is(err, keyring.ErrUnavailable) {
				t.Errorf("%s, key %s: %v", name, what, err)
			}
		}
	}
	if err := newSeals(newKEK(t)).verify(t.Context(), tail); err == nil {
		t.Error("it verifies under another KEK")
	}
}

// outOfReach is a KEK that gives no answer.
type outOfReach struct{ keyring.KEK }

func (outOfReach) Unwrap(context.Context, []byte, []byte) (secret.Bytes, error) {
	return secret.Bytes{}, keyring.ErrUnavailable
}

// TestSealWaitsForTheKEK: no answer is no refusal, and a key once known needs none.
func TestSealWaitsForTheKEK(t *testing.T) {
	t.Parallel()
	kek := newKEK(t)
	tail := sealed(t, kek)
	s := newSeals(outOfReach{kek})
	if err := s.verify(t.Context(), tail); !errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	s.kek = kek
	if err := s.verify(t.Context(), tail); err != nil {
		t.Fatal(err)
	}
	s.kek = outOfReach{kek}
	if err := s.verify(t.Context(), tail); err != nil {
		t.Errorf("with its key in memory: %v", err)
	}
}

// TestSealKeysAreBounded: chains are as many as there were starts of a replica.
func TestSealKeysAreBounded(t *testing.T) {
	t.Parallel()
	kek := newKEK(t)
	s := newSeals(kek)
	for range maxSealKeys + 8 {
		if err := s.verify(t.Context(), sealed(t, kek)); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.keys) > maxSealKeys {
		t.Errorf("%d keys are kept", len(s.keys))
	}
}
