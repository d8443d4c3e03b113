package keyring

import (
	"context"
	"errors"

	"github.com/cardvault/cardvault/crypto/secret"
)

// KEK is the key-encryption key. It stays where it is kept; only keys to be
// wrapped and unwrapped go there. Methods are safe for concurrent use.
//
// Every error is [ErrDenied] or [ErrUnavailable] in the sense of errors.Is, or an
// error of the context. The difference matters: a denial is the KEK's word that
// this key may not be used, and ends its use at once; unavailability is no word
// at all, and the keys unwrapped before serve for as long as they may.
type KEK interface {
	// Kind names the sort of KEK, such as "transit". It never changes, is stored
	// with each key, and no KEK of another kind can unwrap that key.
	Kind() string

	// Wrap encrypts key so that only Unwrap with the same binding returns it, and
	// tells the version of the KEK that did. Wrapping twice gives different bytes.
	// The binding is not secret and must not be empty.
	Wrap(ctx context.Context, binding []byte, key secret.Bytes) (wrapped []byte, version string, err error)

	// Unwrap returns what Wrap was given. It returns ErrDenied if the binding
	// differs or the bytes were altered. The caller owns the key and wipes it.
	Unwrap(ctx context.Context, binding, wrapped []byte) (secret.Bytes, error)
}

var (
	// ErrDenied is returned by a KEK that gave a definite no: it may not or cannot
	// do this, and asking again will not help.
	ErrDenied = errors.New("denied by the KEK")

	// ErrUnavailable is returned if the KEK gave no answer: it is down, sealed,
	// overloaded or out of reach.
	ErrUnavailable = errors.New("KEK unavailable")
)
