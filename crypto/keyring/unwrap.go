package keyring

import (
	"context"
	"errors"
	"fmt"

	"github.com/cardvault/cardvault/crypto/secret"
)

// loadRow reads the version that should be at a place.
func (r *Ring) loadRow(ctx context.Context, at place) (Version, error) {
	v, err := r.store.Key(ctx, at.scope.Tenant, at.id)
	if err != nil {
		return Version{}, fmt.Errorf("reading %s key %s: %w", at.scope.Purpose, at.id, err)
	}
	return v, r.check(&v, at)
}

// check refuses a version that is not the one asked for or must not be used.
func (r *Ring) check(v *Version, at place) error {
	switch {
	case v.ID != at.id || v.Scope != at.scope:
		return fmt.Errorf("%w: the row of %s key %s is of another key or scope", ErrRefused, at.scope.Purpose, at.id)
	case v.KEKKind != r.kek.Kind():
		return fmt.Errorf("%w: %s key %s was wrapped by KEK kind %q, here it is %q", ErrRefused, at.scope.Purpose, at.id, v.KEKKind, r.kek.Kind())
	case !v.State.opens():
		return fmt.Errorf("%w: %s key %s is %s", ErrRefused, at.scope.Purpose, at.id, v.State)
	}
	return nil
}

// unwrapper returns the load of a cache of keys: read the row, unwrap it, make a
// key of the bytes, wipe the bytes.
func unwrapper[T any](r *Ring, build func(ID, secret.Bytes) (T, error)) func(context.Context, place) (T, error) {
	return func(ctx context.Context, at place) (T, error) {
		var none T
		v, err := r.rows.get(ctx, at)
		if err != nil {
			return none, err
		}
		raw, err := r.kek.Unwrap(ctx, v.binding(), v.Wrapped)
		if err != nil {
			return none, answer(fmt.Errorf("unwrapping %s key %s: %w", at.scope.Purpose, at.id, err))
		}
		defer raw.Wipe()
		key, err := build(v.ID, raw)
		if err != nil {
			return none, fmt.Errorf("%w: %s key %s: %w", ErrRefused, at.scope.Purpose, at.id, err)
		}
		return key, nil
	}
}

// answer makes ErrUnavailable of a KEK's error that is no answer, so that a KEK
// which forgets to say so cannot be taken for one that refused.
func answer(err error) error {
	if errors.Is(err, ErrDenied) || errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
