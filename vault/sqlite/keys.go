package sqlite

import (
	"context"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault"
)

const selectKeys = `
SELECT k.id, t.name, purpose, subject, state, kek_kind, kek_version, wrapped, uses, created
FROM keys k JOIN tenants t ON t.id = k.tenant WHERE k.tenant = ? `

func scanKey(r *row) (vault.KeyRow, error) {
	return vault.KeyRow{
		ID: r.uuid(), Tenant: r.text(), Purpose: r.text(), Subject: r.text(), State: r.text(), KEKKind: r.text(),
		KEKVersion: r.text(), Wrapped: r.bytes(), Uses: r.int(), Created: r.time(),
	}, nil
}

// ActiveKey implements vault.Store.
func (s *Store) ActiveKey(ctx context.Context, tenant, purpose, subject string) (vault.KeyRow, error) {
	number, err := s.tenant(ctx, tenant)
	if err != nil {
		return vault.KeyRow{}, err
	}
	return only(read(ctx, s, scanKey, selectKeys+`AND purpose = ? AND subject = ? AND state = 'active'`, number, purpose, subject))
}

// Key implements vault.Store.
func (s *Store) Key(ctx context.Context, tenant string, id uuid.UUID) (vault.KeyRow, error) {
	number, err := s.tenant(ctx, tenant)
	if err != nil {
		return vault.KeyRow{}, err
	}
	return only(read(ctx, s, scanKey, selectKeys+`AND k.id = ?`, number, id[:]))
}

// ReserveKeyUses implements vault.Store.
func (s *Store) ReserveKeyUses(ctx context.Context, tenant string, id uuid.UUID, n, limit int64) error {
	number, err := s.tenant(ctx, tenant)
	if err != nil {
		return err
	}
	return s.write(ctx, func(w *writer) error {
		uses, err := only(collect(w.conn, scanInt, `SELECT uses FROM keys WHERE tenant = ? AND id = ?`, number, id[:]))
		if err != nil {
			return err
		}
		if uses > limit-n {
			return vault.ErrLimit
		}
		return w.exec(`UPDATE keys SET uses = uses + ? WHERE tenant = ? AND id = ?`, n, number, id[:])
	})
}

// InsertKey implements vault.Tx.
func (t *tx) InsertKey(_ context.Context, row vault.KeyRow, after uuid.UUID) (bool, error) {
	number, err := t.tenant(row.Tenant)
	if err != nil {
		return false, err
	}
	if after != uuid.Nil {
		n, err := t.exec(`
			UPDATE keys SET state = 'retiring'
			WHERE tenant = ? AND id = ? AND purpose = ? AND subject = ? AND state = 'active'`,
			number, after[:], row.Purpose, row.Subject)
		if err != nil || n == 0 {
			return false, err
		}
	}
	n, err := t.exec(`
		INSERT INTO keys (tenant, id, purpose, subject, state, kek_kind, kek_version, wrapped, uses, created)
		VALUES (?, ?, ?, ?, 'active', ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, purpose, subject) WHERE state = 'active' DO NOTHING`,
		number, row.ID[:], row.Purpose, row.Subject, row.KEKKind, row.KEKVersion, row.Wrapped, row.Uses, micros(row.Created))
	return n == 1, err
}
