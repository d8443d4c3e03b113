package keyring_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cardvault/cardvault/crypto/envelope"
	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/secret"
)

var errOutage = errors.New("connection refused")

// kek is a KEK whose faults the test chooses. What it was given and gave is kept,
// to see whether it was wiped.
type kek struct {
	kind string
	key  *envelope.Key

	mu      sync.Mutex
	wraps   int
	unwraps int
	fault   error                       // returned by both, if set
	noWraps error                       // returned by Wrap, if set
	before  func(context.Context) error // runs before an unwrap, if set
	seen    []secret.Bytes
}

func newKEK(t *testing.T) *kek {
	t.Helper()
	key, err := envelope.NewKey(secret.Random(envelope.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return &kek{kind: "test", key: key}
}

func (k *kek) Kind() string { return k.kind }

func (k *kek) Wrap(_ context.Context, binding []byte, key secret.Bytes) ([]byte, string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wraps++
	k.seen = append(k.seen, key)
	if err := cmp.Or(k.fault, k.noWraps); err != nil {
		return nil, "", err
	}
	wrapped, err := k.key.Seal(key.Reveal(), binding)
	return wrapped, "1", err
}

func (k *kek) Unwrap(ctx context.Context, binding, wrapped []byte) (secret.Bytes, error) {
	k.mu.Lock()
	k.unwraps++
	fault, before := k.fault, k.before
	k.mu.Unlock()
	if before != nil {
		if err := before(ctx); err != nil {
			return secret.Bytes{}, err
		}
	}
	if fault != nil {
		return secret.Bytes{}, fault
	}
	raw, err := k.key.Open(wrapped, binding)
	if err != nil {
		return secret.Bytes{}, keyring.ErrDenied
	}
	key := secret.New(raw)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen = append(k.seen, key)
	return key, nil
}

func (k *kek) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fault = err
}

func (k *kek) refuseWraps(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.noWraps = err
}

func (k *kek) beforeUnwrap(f func(context.Context) error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.before = f
}

func (k *kek) calls() (wraps, unwraps int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.wraps, k.unwraps
}

// store is a Store in memory that can fail before or after a change.
type store struct {
	mu       sync.Mutex
	versions []keyring.Version
	reads    int
	reserved int
	before   error  // every method fails with it, changing nothing
	after    error  // AddKey and ReserveUses fail with it after their change
	adding   func() // runs before AddKey, if set
}

func (s *store) ActiveKey(_ context.Context, scope keyring.Scope) (keyring.Version, error) {
	return s.read(func(v keyring.Version) bool { return v.Scope == scope && v.State == keyring.StateActive })
}

func (s *store) Key(_ context.Context, tenant string, id keyring.ID) (keyring.Version, error) {
	return s.read(func(v keyring.Version) bool { return v.Scope.Tenant == tenant && v.ID == id })
}

func (s *store) read(is func(keyring.Version) bool) (keyring.Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.before != nil {
		return keyring.Version{}, s.before
	}
	if i := slices.IndexFunc(s.versions, is); i >= 0 {
		return s.versions[i], nil
	}
	return keyring.Version{}, keyring.ErrNoKey
}

func (s *store) AddKey(_ context.Context, v keyring.Version, after keyring.ID) error {
	s.mu.Lock()
	adding := s.adding
	s.mu.Unlock()
	if adding != nil {
		adding()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before != nil {
		return s.before
	}
	i := slices.IndexFunc(s.versions, func(u keyring.Version) bool {
		return u.Scope == v.Scope && u.State == keyring.StateActive
	})
	switch {
	case i < 0 && after != keyring.ID{}, i >= 0 && s.versions[i].ID != after:
		return keyring.ErrSuperseded
	case i >= 0:
		s.versions[i].State = keyring.StateRetiring
	}
	s.versions = append(s.versions, v)
	return s.after
}

func (s *store) ReserveUses(_ context.Context, tenant string, id keyring.ID, n, limit int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before != nil {
		return s.before
	}
	s.reserved++
	i := slices.IndexFunc(s.versions, func(v keyring.Version) bool { return v.Scope.Tenant == tenant && v.ID == id })
	if i < 0 {
		return keyring.ErrNoKey
	}
	if s.versions[i].Uses+n > limit {
		return keyring.ErrUsesExhausted
	}
	s.versions[i].Uses += n
	return s.after
}

// edit changes a stored version behind the ring's back.
func (s *store) edit(t *testing.T, id keyring.ID, change func(*keyring.Version)) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.versions, func(v keyring.Version) bool { return v.ID == id })
	if i < 0 {
		t.Fatalf("no version %s", id)
	}
	change(&s.versions[i])
}

func (s *store) version(t *testing.T, id keyring.ID) keyring.Version {
	t.Helper()
	var found keyring.Version
	s.edit(t, id, func(v *keyring.Version) { found = *v })
	return found
}

func (s *store) fail(before, after error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after = before, after
}

const (
	maxAge       = time.Hour
	cryptoperiod = 1000 * time.Hour
)

// bench is a ring over a KEK and a store with faults, for use inside synctest.
type bench struct {
	kek   *kek
	store *store
	ring  *keyring.Ring

	mu       sync.Mutex
	reported []error
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{kek: newKEK(t), store: &store{}}
	b.ring = b.replica(t)
	return b
}

// replica returns one more ring over the same KEK and store.
func (b *bench) replica(t *testing.T) *keyring.Ring {
	t.Helper()
	ring, err := keyring.New(keyring.Config{
		KEK: b.kek, Store: b.store, Clock: time.Now, MaxAge: maxAge, DataCryptoperiod: cryptoperiod,
		Report: func(err error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.reported = append(b.reported, err)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ring.Close)
	return ring
}

func (b *bench) reports() []error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.reported)
}

// dataKey returns the active data key of tenant "acme", which must be had.
func (b *bench) dataKey(t *testing.T) *keyring.DataKey {
	t.Helper()
	key, err := b.ring.DataKey(t.Context(), "acme", 1)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// lyingStore answers every read with the same row.
type lyingStore struct {
	*store
	answer keyring.Version
}

func (s *lyingStore) ActiveKey(context.Context, keyring.Scope) (keyring.Version, error) {
	return s.answer, nil
}

func (s *lyingStore) Key(context.Context, string, keyring.ID) (keyring.Version, error) {
	return s.answer, nil
}
