// Package secret holds bytes that must never be seen: data keys, subkeys, tokens of other services.
//
// [Bytes] redacts itself wherever Go prints or encodes a value: fmt, log/slog, encoding/json and every encoder that
// asks for text. Methods alone are not enough for that. When a secret sits in an unexported field of a larger struct,
// fmt may not call its methods and walks its fields by reflection instead. One pointer is not enough either: for a verb
// that does not suit a pointer, such as %s, fmt prints "%!s(*T=&{…})" with what the pointer points to, if that is a
// struct, slice, array or map. It never follows a pointer to a pointer, so the bytes live behind two.
//
// What it does not do: it does not lock memory or keep other copies from being made. Whoever calls [Bytes.Reveal] and
// hands the result to a library has made the library a holder of the secret.
package secret

import (
	"crypto/rand"
	"crypto/subtle"
	"runtime"
)

// Bytes is a secret of any length. The zero value is an empty secret: it reveals nothing and equals nothing.
//
// Copies of a Bytes share one secret, so [Bytes.Wipe] on one empties them all. Reading is safe from many goroutines;
// Wipe must not run beside a reader.
type Bytes struct {
	_      [0]func() // no ==: it would compare addresses, and what compares secrets must take constant time
	hidden **[]byte
}

// New takes b over as a secret. It does not copy: the secret then lives in one place, and Wipe reaches all of it.
// The caller must not use b afterwards.
func New(b []byte) Bytes {
	if len(b) == 0 {
		return Bytes{}
	}
	p := &b
	return Bytes{hidden: &p}
}

// Random returns a new secret of n bytes from crypto/rand; it is empty if n is not positive.
func Random(n int) Bytes {
	if n <= 0 {
		return Bytes{}
	}
	b := make([]byte, n)
	// crypto/rand.Read never returns an error: it ends the program when the system has no randomness to give.
	_, _ = rand.Read(b)
	return New(b)
}

// Reveal returns the secret bytes themselves, not a copy: they must be neither changed nor kept. It is the one way to
// the bytes, so a search for it finds every place that sees them.
func (s Bytes) Reveal() []byte {
	if s.hidden == nil {
		return nil
	}
	return **s.hidden
}

// Len returns the number of secret bytes.
func (s Bytes) Len() int { return len(s.Reveal()) }

// Equal reports whether both secrets hold the same bytes, in time that depends on their lengths only. An empty secret
// equals nothing, not even another: a secret that was never set must open no door.
func (s Bytes) Equal(t Bytes) bool {
	return s.Len() != 0 && subtle.ConstantTimeCompare(s.Reveal(), t.Reveal()) == 1
}

// Wipe overwrites the secret with zeros and empties it, together with every copy of this Bytes.
func (s Bytes) Wipe() {
	if s.hidden == nil {
		return
	}
	clear(**s.hidden)
	// The bytes count as used until here, so that the overwriting is no dead store to the compiler.
	runtime.KeepAlive(**s.hidden)
	**s.hidden = nil
}
