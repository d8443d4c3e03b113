package keyring

import (
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/crypto/envelope"
)

// Purpose is what a key is for. A key serves one purpose only (NIST SP 800-57
// part 1 rev. 5 §5.2). The zero value is invalid.
type Purpose uint8

// The purposes of a key.
const (
	PurposeData        Purpose = iota + 1 // seals records, one active key a tenant
	PurposeFingerprint                    // recognises values, one active key a tenant
	PurposeRange                          // permutes a range, one key a range
)

// String returns the name that the wrapping is bound to. It must never change.
func (p Purpose) String() string {
	switch p {
	case PurposeData:
		return "data"
	case PurposeFingerprint:
		return "fingerprint"
	case PurposeRange:
		return "range"
	}
	return "invalid"
}

// Algorithm returns what keys of the purpose are keys of, as documents name it; each
// has 256 bits. Empty: the purpose is invalid.
func (p Purpose) Algorithm() string {
	switch p {
	case PurposeData:
		return "AES-256-GCM"
	case PurposeFingerprint:
		return "HMAC-SHA-256"
	case PurposeRange:
		return "FF1-AES-256"
	}
	return ""
}

// State is where a key version stands in its life, which only goes forward:
// active, retiring, retired, destroyed. The zero value is invalid.
type State uint8

// The states of a key version.
const (
	StateActive    State = iota + 1 // protects new data; one a scope
	StateRetiring                   // opens; its data waits to be moved to the active version
	StateRetired                    // opens, though nothing should need it any more
	StateDestroyed                  // its wrapped bytes are gone; what it sealed is lost for good
)

// String returns the state's name.
func (s State) String() string {
	switch s {
	case StateActive:
		return "active"
	case StateRetiring:
		return "retiring"
	case StateRetired:
		return "retired"
	case StateDestroyed:
		return "destroyed"
	}
	return "invalid"
}

// opens reports whether a version in this state may still be used to read.
func (s State) opens() bool {
	return s == StateActive || s == StateRetiring || s == StateRetired
}

// ID names a key version. It is a random UUID (RFC 9562 §5.4): it tells nothing
// and makes no hot spot in a store that is sharded by key range.
type ID [16]byte

// NewID returns a new random ID.
func NewID() ID { return ID(uuid.New()) }

// String returns the ID in the usual form of a UUID.
func (id ID) String() string { return uuid.UUID(id).String() }

// Scope is what a sequence of key versions is for: of its versions at most one is
// active at any time.
type Scope struct {
	Purpose Purpose
	Tenant  string
	Subject string // the id of the range for PurposeRange, empty otherwise
}

// Version is one key as it lies in the store: wrapped, and safe to copy and print.
type Version struct {
	ID    ID
	Scope Scope
	State State

	KEKKind    string // the Kind of the KEK that wrapped it
	KEKVersion string // which version of that KEK did, in the KEK's own words
	Wrapped    []byte // empty once destroyed

	Created time.Time
	Uses    int64 // uses reserved so far, never below the true number
}

// binding returns what the wrapping of this version is bound to: all that says
// which key it is. A wrapped key that is moved to another row, purpose, tenant or
// range does not unwrap there.
func (v *Version) binding() []byte {
	return envelope.Bind("cardvault/key/v1",
		[]byte(v.Scope.Purpose.String()), []byte(v.Scope.Tenant), []byte(v.Scope.Subject), v.ID[:])
}
