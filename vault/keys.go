package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/crypto/fingerprint"
	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/vault/audit"
)

// keyStore lets the key ring keep wrapped keys in the store. A new key version is
// a change like any other: it comes with its audit entry.
type keyStore struct {
	store   Store
	journal *journal
}

func (s keyStore) ActiveKey(ctx context.Context, scope keyring.Scope) (keyring.Version, error) {
	row, err := s.store.ActiveKey(ctx, scope.Tenant, scope.Purpose.String(), scope.Subject)
	return versionOf(row, err)
}

func (s keyStore) Key(ctx context.Context, tenant string, id keyring.ID) (keyring.Version, error) {
	row, err := s.store.Key(ctx, tenant, uuid.UUID(id))
	return versionOf(row, err)
}

func (s keyStore) AddKey(ctx context.Context, v keyring.Version, after keyring.ID) error {
	c := &change{
		tenant: v.Scope.Tenant,
		entry: audit.Entry{
			Tenant: v.Scope.Tenant, Action: string(actionCreateKey), Decision: audit.Allow,
			Key: uuid.UUID(v.ID), BINRange: v.Scope.Subject,
		},
	}
	superseded := &Error{Kind: Conflict, Reason: "SUPERSEDED", Message: "another replica was first"}
	c.apply = func(ctx context.Context, tx Tx, _ *change) error {
		ok, err := tx.InsertKey(ctx, keyRow(v), uuid.UUID(after))
		if err == nil && !ok {
			err = superseded
		}
		return err
	}
	if err := s.journal.commit(ctx, c); err != nil {
		return err
	}
	if c.out.refused != nil {
		return keyring.ErrSuperseded
	}
	return nil
}

func (s keyStore) ReserveUses(ctx context.Context, tenant string, id keyring.ID, n, limit int64) error {
	err := s.store.ReserveKeyUses(ctx, tenant, uuid.UUID(id), n, limit)
	if errors.Is(err, ErrLimit) {
		return keyring.ErrUsesExhausted
	}
	return storeFault(err)
}

// storeFault tells an outage of the store from what a key ring finds wrong.
func storeFault(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrStoreUnavailable, err)
}

func keyRow(v keyring.Version) KeyRow {
	return KeyRow{
		ID: uuid.UUID(v.ID), Tenant: v.Scope.Tenant, Purpose: v.Scope.Purpose.String(), Subject: v.Scope.Subject,
		State: v.State.String(), KEKKind: v.KEKKind, KEKVersion: v.KEKVersion,
		Wrapped: v.Wrapped, Uses: v.Uses, Created: v.Created,
	}
}

func versionOf(row KeyRow, err error) (keyring.Version, error) {
	if errors.Is(err, ErrNoRow) {
		return keyring.Version{}, keyring.ErrNoKey
	}
	if err != nil {
		return keyring.Version{}, storeFault(err)
	}
	return keyring.Version{
		ID:    keyring.ID(row.ID),
		Scope: keyring.Scope{Purpose: purposeOf(row.Purpose), Tenant: row.Tenant, Subject: row.Subject},
		State: stateOf(row.State), KEKKind: row.KEKKind, KEKVersion: row.KEKVersion,
		Wrapped: row.Wrapped, Uses: row.Uses, Created: row.Created,
	}, nil
}

// purposeOf reads a stored purpose. What it does not know is the invalid one, which
// the key ring refuses.
func purposeOf(name string) keyring.Purpose {
	for _, p := range []keyring.Purpose{keyring.PurposeData, keyring.PurposeFingerprint, keyring.PurposeRange} {
		if p.String() == name {
			return p
		}
	}
	return 0
}

// stateOf reads a stored state, as purposeOf.
func stateOf(name string) keyring.State {
	for _, s := range []keyring.State{keyring.StateActive, keyring.StateRetiring, keyring.StateRetired, keyring.StateDestroyed} {
		if s.String() == name {
			return s
		}
	}
	return 0
}

// cardKeys are the keys that new cards of a tenant are made with.
type cardKeys struct {
	data        *keyring.DataKey
	fingerprint *fingerprint.Key
}

// cardKeys returns the tenant's keys with room for n cards on the data key. It
// reserves twice the uses, because a card is sealed again where its number is
// taken or its PAN has a tombstone. A card whose numbers are taken again and again
// is sealed up to maxTries times: with every card so, 2^30 uses would be 2^32, which
// is what NIST SP 800-38D §8.3 allows.
func (v *Vault) cardKeys(ctx context.Context, tenant string, n int) (cardKeys, error) {
	data, err := v.keys.DataKey(ctx, tenant, 2*n)
	if err != nil {
		return cardKeys{}, v.keyError(ctx, err)
	}
	fp, err := v.fingerprintKey(ctx, tenant)
	return cardKeys{data, fp}, err
}

func (v *Vault) fingerprintKey(ctx context.Context, tenant string) (*fingerprint.Key, error) {
	keys, err := v.keys.FingerprintKeys(ctx, tenant)
	if err != nil {
		return nil, v.keyError(ctx, err)
	}
	return keys.Current().Key, nil
}

// keyError turns a key ring's error into what a caller is told.
func (v *Vault) keyError(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, keyring.ErrUnavailable), errors.Is(err, keyring.ErrClosed), errors.Is(err, context.DeadlineExceeded):
		return ErrKeysUnavailable
	case errors.Is(err, context.Canceled):
		if ctx.Err() == nil { // it was the ring that was closed
			return ErrKeysUnavailable
		}
		return err
	case errors.Is(err, ErrStoreUnavailable):
		return v.storeError(ctx, err)
	case errors.Is(err, keyring.ErrUsesExhausted):
		v.alarms.raise(ctx, "data key spent without a successor", err)
		return ErrKeysUnavailable
	}
	v.alarms.raise(ctx, "key refused", err)
	return ErrIntegrity
}
