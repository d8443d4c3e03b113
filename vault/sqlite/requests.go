package sqlite

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"zombiezen.com/go/sqlite"

	"github.com/cardvault/cardvault/vault"
)

const selectRequest = `
SELECT id, digest, card, token, existing, created FROM requests WHERE tenant = ? AND id = ?`

func scanRequest(r *row) (vault.RequestRow, error) {
	return vault.RequestRow{
		ID: r.uuid(), Digest: r.uuid(), Card: r.uuid(), Token: r.uuid(), Existing: r.bool(), Created: r.time(),
	}, nil
}

// Requests implements vault.Store.
func (s *Store) Requests(ctx context.Context, tenant string, ids []uuid.UUID) ([]vault.RequestRow, error) {
	number, err := s.tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var all []vault.RequestRow
	err = s.reading(ctx, func(conn *sqlite.Conn) error {
		for _, id := range ids {
			rows, err := collect(conn, scanRequest, selectRequest, number, id[:])
			if err != nil {
				return err
			}
			all = append(all, rows...)
		}
		return nil
	})
	return all, err
}

// ClaimRequests implements vault.Tx.
func (t *tx) ClaimRequests(_ context.Context, tenant string, rows []vault.RequestRow) ([]vault.RequestRow, error) {
	var taken []vault.RequestRow
	for _, r := range rows {
		number, err := t.tenant(tenant)
		if err != nil {
			return nil, err
		}
		n, err := t.exec(`
			INSERT INTO requests (tenant, id, digest, card, token, existing, created) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`,
			number, r.ID[:], r.Digest[:], r.Card[:], r.Token[:], r.Existing, micros(r.Created))
		if err != nil {
			return nil, err
		}
		if n == 1 || slices.ContainsFunc(taken, func(other vault.RequestRow) bool { return other.ID == r.ID }) {
			continue
		}
		standing, err := collect(t.conn, scanRequest, selectRequest, number, r.ID[:])
		if err != nil {
			return nil, err
		}
		taken = append(taken, standing...)
	}
	return taken, nil
}

// ReleaseRequests implements vault.Tx.
func (t *tx) ReleaseRequests(_ context.Context, tenant string, ids []uuid.UUID) error {
	for _, id := range ids {
		number, err := t.tenant(tenant)
		if err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM requests WHERE tenant = ? AND id = ?`, number, id[:]); err != nil {
			return err
		}
	}
	return nil
}

// AmendRequests implements vault.Tx.
func (t *tx) AmendRequests(_ context.Context, tenant string, rows []vault.RequestRow) error {
	for _, r := range rows {
		number, err := t.tenant(tenant)
		if err != nil {
			return err
		}
		_, err = t.exec(`UPDATE requests SET card = ?, token = ?, existing = ? WHERE tenant = ? AND id = ?`,
			r.Card[:], r.Token[:], r.Existing, number, r.ID[:])
		if err != nil {
			return err
		}
	}
	return nil
}
