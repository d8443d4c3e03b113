package keyring

import (
	"context"
	"errors"
	"fmt"

	"github.com/cardvault/cardvault/crypto/envelope"
	"github.com/cardvault/cardvault/crypto/secret"
)

// maxUses bounds the uses of one call of DataKey. It is far below the tenth of a
// key's uses that is left when its successor is due.
const maxUses = 1 << 20

// DataKey seals and opens records. ID names the version, which a record must carry.
type DataKey struct {
	ID ID
	*envelope.Key
}

func newDataKey(id ID, raw secret.Bytes) (*DataKey, error) {
	key, err := envelope.NewKey(raw)
	if err != nil {
		return nil, err
	}
	return &DataKey{ID: id, Key: key}, nil
}

// DataKey returns the tenant's active data key to seal at most uses records with,
// from 1 to 2^20. The first call for a tenant makes the key. The successor takes
// over by itself before the cryptoperiod or the uses of a key end.
//
// The errors are [ErrUnavailable], [ErrDenied], [ErrRefused], [ErrClosed], those of
// the store and of the context.
func (r *Ring) DataKey(ctx context.Context, tenant string, uses int) (*DataKey, error) {
	if uses < 1 || uses > maxUses {
		return nil, fmt.Errorf("uses of a data key must be from 1 to %d", maxUses)
	}
	scope := Scope{Purpose: PurposeData, Tenant: tenant}
	for range 2 {
		key, err := r.takeDataKey(ctx, scope, int64(uses))
		if !errors.Is(err, ErrUsesExhausted) {
			return key, err
		}
		// The version ended since it was read. Reading it again makes its successor, of
		// which no replica can have spent a key's worth of uses meanwhile.
		r.active.drop(scope)
	}
	return nil, fmt.Errorf("sealing for the tenant: %w", ErrUsesExhausted)
}

// takeDataKey returns the active key as it is known, or ErrUsesExhausted.
func (r *Ring) takeDataKey(ctx context.Context, scope Scope, uses int64) (*DataKey, error) {
	a, err := r.active.get(ctx, scope)
	if err != nil {
		return nil, err
	}
	if r.ended(&a.version) {
		return nil, ErrUsesExhausted
	}
	// First the key and then its uses, so that an outage of the KEK burns none.
	key, err := r.data.get(ctx, place{scope, a.version.ID})
	if err != nil {
		return nil, err
	}
	if err := a.uses.take(ctx, uses); err != nil {
		return nil, err
	}
	return key, nil
}

// DataKeyByID returns a data key of the tenant to open records with, whatever came
// after it. The errors are those of DataKey and [ErrNoKey].
func (r *Ring) DataKeyByID(ctx context.Context, tenant string, id ID) (*DataKey, error) {
	at := place{Scope{Purpose: PurposeData, Tenant: tenant}, id}
	// The row first: it tells within Staleness that a version was destroyed.
	if _, err := r.rows.get(ctx, at); err != nil {
		if definite(err) {
			r.data.drop(at)
		}
		return nil, err
	}
	return r.data.get(ctx, at)
}
