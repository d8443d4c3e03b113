package keyring

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cardvault/cardvault/crypto/secret"
)

// keySize is the length of every key, in bytes: AES-256, HMAC-SHA-256 and FF1
// with AES-256.
const keySize = 32

// UsesLimit bounds the records sealed under one data key. With random 96-bit IVs
// NIST SP 800-38D §8.3 allows 2^32; a quarter of that keeps the chance of a
// repeated IV below 2^-37.
const UsesLimit = 1 << 30

// active is the active version of a scope, with what is left of the uses that
// this replica has reserved.
type active struct {
	version Version
	uses    *meter
}

// loadActive reads which version of a scope is active, makes the first one, and
// makes the successor of one whose end is near. It does not vouch for the row: that
// is checked where it is unwrapped. Since it runs ahead of need, before
// the knowledge it replaces is too old, callers seldom wait for a successor.
func (r *Ring) loadActive(ctx context.Context, scope Scope) (*active, error) {
	v, err := r.store.ActiveKey(ctx, scope)
	switch {
	case errors.Is(err, ErrNoKey):
		v, err = r.succeed(ctx, scope, ID{})
	case err == nil && r.ending(&v):
		v, err = r.succeedInTime(ctx, v)
	}
	if err != nil {
		return nil, fmt.Errorf("active %s key: %w", scope.Purpose, err)
	}
	if v.State != StateActive {
		return nil, fmt.Errorf("%w: %s key %s is %s, not active", ErrRefused, scope.Purpose, v.ID, v.State)
	}
	return &active{version: v, uses: r.meterOf(scope, v.ID)}, nil
}

// meterOf returns the meter of a version: the same one for as long as it is the
// active one, so that reading it again does not lose uses already reserved.
func (r *Ring) meterOf(scope Scope, id ID) *meter {
	if a, ok := r.active.peek(scope); ok && a.version.ID == id {
		return a.uses
	}
	return newMeter(func(ctx context.Context, n int64) error {
		return r.store.ReserveUses(ctx, scope.Tenant, id, n, UsesLimit)
	})
}

// ending reports whether it is time for the successor of a version.
func (r *Ring) ending(v *Version) bool {
	return v.Scope.Purpose == PurposeData &&
		(r.age(v) >= r.cryptoperiod/10*9 || v.Uses >= UsesLimit/10*9)
}

// ended reports whether a version must seal no more.
func (r *Ring) ended(v *Version) bool {
	return v.Scope.Purpose == PurposeData &&
		(r.age(v) >= r.cryptoperiod || v.Uses > UsesLimit-usesBlock)
}

func (r *Ring) age(v *Version) time.Duration { return r.clock().Sub(v.Created) }

// succeedInTime returns the successor of v, or v itself if the successor cannot be
// made yet and v may go on.
func (r *Ring) succeedInTime(ctx context.Context, v Version) (Version, error) {
	successor, err := r.succeed(ctx, v.Scope, v.ID)
	if err != nil && !r.ended(&v) {
		r.report(fmt.Errorf("making the successor of %s key %s: %w", v.Scope.Purpose, v.ID, err))
		return v, nil
	}
	return successor, err
}

// succeed makes a new version the active one in place of after, and returns it, or
// the one of another replica that was first.
func (r *Ring) succeed(ctx context.Context, scope Scope, after ID) (Version, error) {
	v, err := r.forge(ctx, scope)
	if err != nil {
		return Version{}, err
	}
	err = r.store.AddKey(ctx, v, after)
	if errors.Is(err, ErrSuperseded) {
		return r.store.ActiveKey(ctx, scope)
	}
	return v, err
}

// forge makes a new key and wraps it. The key itself is forgotten at once: its
// first use unwraps the stored row, as every later one does.
func (r *Ring) forge(ctx context.Context, scope Scope) (Version, error) {
	v := Version{ID: NewID(), Scope: scope, State: StateActive, KEKKind: r.kek.Kind(), Created: r.clock()}
	raw := secret.Random(keySize)
	defer raw.Wipe()
	var err error
	if v.Wrapped, v.KEKVersion, err = r.kek.Wrap(ctx, v.binding(), raw); err != nil {
		return Version{}, answer(fmt.Errorf("wrapping a new %s key: %w", scope.Purpose, err))
	}
	return v, nil
}
