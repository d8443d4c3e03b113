package keyring

import (
	"context"
	"errors"
)

// Store keeps key versions. Methods are safe for concurrent use, also by several
// replicas on one database. What a method has returned is durable, and every
// later read on any replica sees it.
//
// An error that is none of those named below means that the store gave no answer;
// after one from AddKey or ReserveUses the change may have been made or not.
type Store interface {
	// ActiveKey returns the version of the scope in StateActive, or [ErrNoKey] if it
	// has none.
	ActiveKey(ctx context.Context, scope Scope) (Version, error)

	// Key returns a version of the tenant in whatever state, or [ErrNoKey] if the
	// tenant has none of this id.
	Key(ctx context.Context, tenant string, id ID) (Version, error)

	// AddKey inserts v and makes it the active version of its scope in place of the
	// version after, which becomes retiring in the same transaction. The zero ID
	// means that the scope has no active version yet. It returns [ErrSuperseded] and
	// changes nothing if the active version of the scope is another one than after:
	// another replica was first, and theirs is to be used.
	AddKey(ctx context.Context, v Version, after ID) error

	// ReserveUses adds n to the uses of a version. It returns [ErrUsesExhausted] and
	// adds nothing if that would make them more than limit.
	ReserveUses(ctx context.Context, tenant string, id ID, n, limit int64) error
}

// What a Store answers besides versions.
var (
	// ErrNoKey is returned if there is no such key version.
	ErrNoKey = errors.New("no such key")

	// ErrSuperseded is returned by AddKey if another version became active before.
	ErrSuperseded = errors.New("key superseded by another")

	// ErrUsesExhausted is returned by ReserveUses if the uses left do not suffice.
	ErrUsesExhausted = errors.New("uses of the key exhausted")
)
