// Package kektest states the contract of keyring.KEK as tests that every KEK runs.
package kektest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/cardvault/cardvault/crypto/envelope"
	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/secret"
)

// Run checks the contract on kek. The key of other differs, its kind does not.
func Run(t *testing.T, kek, other keyring.KEK) {
	t.Helper()
	c := contract{kek: kek, other: other}
	t.Run("round trip", c.roundTrip)
	t.Run("wraps differ", c.wrapsDiffer)
	t.Run("wrapped bytes hide the key", c.hidesTheKey)
	t.Run("another binding is denied", c.bindingIsKept)
	t.Run("an empty binding is denied", c.bindingIsNeeded)
	t.Run("altered bytes are denied", c.alterationIsDenied)
	t.Run("another KEK is denied", c.otherKEKIsDenied)
	t.Run("an ended context", c.contextIsKept)
	t.Run("kind", c.kindIsNamed)
}

type contract struct{ kek, other keyring.KEK }

func binding(part string) []byte { return envelope.Bind("kektest/v1", []byte(part)) }

// wrap wraps key for binding("a").
func (c contract) wrap(t *testing.T, key secret.Bytes) []byte {
	t.Helper()
	wrapped, version, err := c.kek.Wrap(t.Context(), binding("a"), key)
	if err != nil {
		t.Fatalf("Wrap: %v", err)
	}
	if version == "" {
		t.Error("Wrap tells no version")
	}
	return wrapped
}

func (c contract) roundTrip(t *testing.T) {
	for _, size := range []int{1, 32, 64} {
		key := secret.Random(size)
		got, err := c.kek.Unwrap(t.Context(), binding("a"), c.wrap(t, key))
		if err != nil {
			t.Fatalf("Unwrap: %v", err)
		}
		if !got.Equal(key) {
			t.Errorf("a key of %d bytes comes back changed", size)
		}
	}
}

func (c contract) wrapsDiffer(t *testing.T) {
	key := secret.Random(32)
	if bytes.Equal(c.wrap(t, key), c.wrap(t, key)) {
		t.Error("wrapping twice gives the same bytes")
	}
}

func (c contract) hidesTheKey(t *testing.T) {
	key := secret.New([]byte("a key of exactly thirty-two byte"))
	if wrapped := c.wrap(t, key); bytes.Contains(wrapped, key.Reveal()[:8]) {
		t.Errorf("the key shows in %q", wrapped)
	}
}

func (c contract) bindingIsKept(t *testing.T) {
	wrapped := c.wrap(t, secret.Random(32))
	for _, other := range [][]byte{binding("b"), binding(""), []byte("a"), append(binding("a"), 0), binding("a")[1:]} {
		mustDeny(t, c.kek, other, wrapped)
	}
}

func (c contract) bindingIsNeeded(t *testing.T) {
	if _, _, err := c.kek.Wrap(t.Context(), nil, secret.Random(32)); !errors.Is(err, keyring.ErrDenied) {
		t.Errorf("Wrap: %v, want %v", err, keyring.ErrDenied)
	}
	mustDeny(t, c.kek, nil, c.wrap(t, secret.Random(32)))
}

func (c contract) alterationIsDenied(t *testing.T) {
	wrapped := c.wrap(t, secret.Random(32))
	for i := range wrapped {
		altered := bytes.Clone(wrapped)
		// The last byte of base64 may carry bits that mean nothing, so alter by more than one.
		altered[i] ^= 0x15
		mustDeny(t, c.kek, binding("a"), altered)
	}
	for _, n := range []int{0, 1, len(wrapped) / 2, len(wrapped) - 5} {
		mustDeny(t, c.kek, binding("a"), wrapped[:n])
	}
	mustDeny(t, c.kek, binding("a"), append(bytes.Clone(wrapped), wrapped...))
}

func (c contract) otherKEKIsDenied(t *testing.T) {
	mustDeny(t, c.other, binding("a"), c.wrap(t, secret.Random(32)))
}

func (c contract) contextIsKept(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	wrapped := c.wrap(t, secret.Random(32))
	cancel()
	if _, _, err := c.kek.Wrap(ctx, binding("a"), secret.Random(32)); !errors.Is(err, context.Canceled) {
		t.Errorf("Wrap with an ended context: %v", err)
	}
	if _, err := c.kek.Unwrap(ctx, binding("a"), wrapped); !errors.Is(err, context.Canceled) || errors.Is(err, keyring.ErrDenied) {
		t.Errorf("Unwrap with an ended context: %v", err)
	}
}

func (c contract) kindIsNamed(t *testing.T) {
	if c.kek.Kind() == "" || c.kek.Kind() != c.other.Kind() {
		t.Errorf("kinds %q and %q", c.kek.Kind(), c.other.Kind())
	}
}

// mustDeny fails the test unless kek gives a definite no, and nothing else.
func mustDeny(t *testing.T, kek keyring.KEK, binding, wrapped []byte) {
	t.Helper()
	key, err := kek.Unwrap(t.Context(), binding, wrapped)
	if !errors.Is(err, keyring.ErrDenied) || errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("Unwrap(%x, %q): %v, want %v", binding, wrapped, err, keyring.ErrDenied)
	}
	if key.Len() != 0 {
		t.Error("a denied Unwrap returned a key")
	}
}
