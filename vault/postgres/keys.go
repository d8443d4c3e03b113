package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cardvault/cardvault/vault"
)

const selectKeys = `
SELECT id, purpose, subject, state, kek_kind, kek_version, wrapped, uses, created FROM keys WHERE tenant = $1`

// keyScan scans keys of one tenant.
func keyScan(tenant string) pgx.RowToFunc[vault.KeyRow] {
	return func(row pgx.CollectableRow) (vault.KeyRow, error) {
		k := vault.KeyRow{Tenant: tenant}
		var created int64
		err := row.Scan((*[16]byte)(&k.ID), &k.Purpose, &k.Subject, &k.State, &k.KEKKind, &k.KEKVersion,
			&k.Wrapped, &k.Uses, &created)
		k.Created = at(created)
		return k, err
	}
}

// ActiveKey implements vault.Store.
func (s *Store) ActiveKey(ctx context.Context, tenant, purpose, subject string) (vault.KeyRow, error) {
	number, err := s.tenant(ctx, tenant)
	if err != nil {
		return vault.KeyRow{}, err
	}
	return only(run(ctx, s, keyScan(tenant),
		selectKeys+` AND purpose = $2 AND subject = $3 AND state = 'active'`, number, purpose, subject))
}

// Key implements vault.Store.
func (s *Store) Key(ctx context.Context, tenant string, id uuid.UUID) (vault.KeyRow, error) {
	number, err := s.tenant(ctx, tenant)
	if err != nil {
		return vault.KeyRow{}, err
	}
	return only(run(ctx, s, keyScan(tenant), selectKeys+` AND id = $2`, number, [16]byte(id)))
}

// The comparison cannot overflow: no limit is near the end of int8.
const reserveUses = `
UPDATE keys SET uses = uses + $3 WHERE tenant = $1 AND id = $2 AND uses <= $4::int8 - $3 RETURNING uses`

// ReserveKeyUses implements vault.Store. Where the connection breaks, uses may be
// counted twice: a key that ends early harms nobody.
func (s *Store) ReserveKeyUses(ctx context.Context, tenant string, id uuid.UUID, n, limit int64) error {
	number, err := s.tenant(ctx, tenant)
	if err != nil {
		return err
	}
	_, err = only(run(ctx, s, scanInt[int64], reserveUses, number, [16]byte(id), n, limit))
	if !errors.Is(err, vault.ErrNoRow) {
		return err
	}
	if _, err := s.Key(ctx, tenant, id); err != nil {
		return err
	}
	return vault.ErrLimit
}

const (
	retireKey = `
UPDATE keys SET state = 'retiring' WHERE tenant = $1 AND id = $2 AND purpose = $3 AND subject = $4 AND state = 'active'`
	insertKey = `
INSERT INTO keys (tenant, id, purpose, subject, state, kek_kind, kek_version, wrapped, uses, created)
VALUES ($1, $2, $3, $4, 'active', $5, $6, $7, $8, $9)
ON CONFLICT (tenant, purpose, subject) WHERE state = 'active' DO NOTHING`
)

// InsertKey implements vault.Tx.
func (t *tx) InsertKey(ctx context.Context, row vault.KeyRow, after uuid.UUID) (bool, error) {
	number, err := t.tenant(ctx, row.Tenant)
	if err != nil {
		return false, err
	}
	if after != uuid.Nil {
		retired, err := t.exec(ctx, retireKey, number, [16]byte(after), row.Purpose, row.Subject)
		if err != nil || retired == 0 {
			return false, err
		}
	}
	n, err := t.exec(ctx, insertKey, number, [16]byte(row.ID), row.Purpose, row.Subject,
		row.KEKKind, row.KEKVersion, row.Wrapped, row.Uses, micros(row.Created))
	return n == 1, err
}
