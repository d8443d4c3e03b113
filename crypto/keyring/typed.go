package keyring

import (
	"bytes"
	"context"
	"errors"

	"github.com/cardvault/cardvault/crypto/fingerprint"
	"github.com/cardvault/cardvault/crypto/secret"
)

// FingerprintKey makes fingerprints. ID names the version.
type FingerprintKey struct {
	ID ID
	*fingerprint.Key
}

// Generations are the fingerprint keys of a tenant, the current one first. New
// fingerprints come from that one; whoever looks for an existing fingerprint tries
// them all, so that values fingerprinted before a rotation are still found. There
// is always one. The slice is shared: do not change it.
type Generations []FingerprintKey

// Current returns the key for new fingerprints.
func (g Generations) Current() FingerprintKey { return g[0] }

func newGenerations(id ID, raw secret.Bytes) (Generations, error) {
	key, err := fingerprint.NewKey(raw)
	if err != nil {
		return nil, err
	}
	return Generations{{ID: id, Key: key}}, nil
}

// FingerprintKeys returns the tenant's fingerprint keys. The first call for a
// tenant makes the first one. The errors are those of DataKey.
func (r *Ring) FingerprintKeys(ctx context.Context, tenant string) (Generations, error) {
	return current(ctx, r, r.fingerprints, Scope{Purpose: PurposeFingerprint, Tenant: tenant})
}

var errKeySize = errors.New("key is not 32 bytes")

// RangeKey permutes a range. ID names the version. The secret is shared by all who
// were given the key: do not wipe it.
type RangeKey struct {
	ID     ID
	Secret secret.Bytes
}

func newRangeKey(id ID, raw secret.Bytes) (*RangeKey, error) {
	if raw.Len() != keySize {
		return nil, errKeySize
	}
	return &RangeKey{ID: id, Secret: secret.New(bytes.Clone(raw.Reveal()))}, nil
}

// RangeKey returns the key of one range of the tenant, named by subject. The first
// call for a range makes the key, so record its ID with the range and compare: a
// range that has a key must never go on with another one. The errors are those of
// DataKey.
func (r *Ring) RangeKey(ctx context.Context, tenant, subject string) (*RangeKey, error) {
	return current(ctx, r, r.ranges, Scope{Purpose: PurposeRange, Tenant: tenant, Subject: subject})
}

// current returns the active key of a scope from the cache of its kind.
func current[T any](ctx context.Context, r *Ring, keys *cache[place, T], scope Scope) (T, error) {
	a, err := r.active.get(ctx, scope)
	if err != nil {
		var none T
		return none, err
	}
	return keys.get(ctx, place{scope, a.version.ID})
}
