package sqlite

import (
	"context"
	"encoding/json"
	"time"

	"github.com/cardvault/cardvault/vault"
)

// Wrapped bytes are not among the columns.
const listKeys = `
SELECT k.id, t.name, purpose, subject, state, kek_kind, kek_version, uses, created
FROM keys k JOIN tenants t ON t.id = k.tenant `

func scanListedKey(r *row) (vault.KeyListRow, error) {
	return vault.KeyListRow{
		ID: r.uuid(), Tenant: r.text(), Purpose: r.text(), Subject: r.text(), State: r.text(), KEKKind: r.text(),
		KEKVersion: r.text(), Uses: r.int(), Created: r.time(),
	}, nil
}

// ListKeys implements vault.Store.
func (s *Store) ListKeys(ctx context.Context, after vault.KeyPosition, limit int) ([]vault.KeyListRow, error) {
	return read(ctx, s, scanListedKey, listKeys+`WHERE (t.name, k.id) > (?, ?) ORDER BY t.name, k.id LIMIT ?`,
		after.Tenant, after.ID[:], limit)
}

// CountKeys implements vault.Store.
func (s *Store) CountKeys(ctx context.Context) ([]vault.KeyCount, error) {
	return read(ctx, s, func(r *row) (vault.KeyCount, error) {
		return vault.KeyCount{
			Purpose: r.text(), State: r.text(), KEKKind: r.text(), KEKVersion: r.text(),
			Keys: r.int(), Oldest: r.time(), MostUses: r.int(),
		}, nil
	}, `SELECT purpose, state, kek_kind, kek_version, count(*), min(created), max(uses)
		FROM keys GROUP BY purpose, state, kek_kind, kek_version`)
}

// EndingKeys implements vault.Store.
func (s *Store) EndingKeys(ctx context.Context, purpose string, created time.Time, uses int64, limit int) ([]vault.KeyListRow, error) {
	return read(ctx, s, scanListedKey, listKeys+`
		WHERE state = 'active' AND purpose = ? AND (created <= ? OR uses >= ?) ORDER BY created, k.id LIMIT ?`,
		purpose, micros(created), uses, limit)
}

// CountKeyRows implements vault.Store.
func (s *Store) CountKeyRows(ctx context.Context, tenants []string, within time.Duration) ([]vault.KeyRowCount, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	names, err := json.Marshal(tenants)
	if err != nil {
		return nil, err
	}
	return read(ctx, s, func(r *row) (vault.KeyRowCount, error) {
		return vault.KeyRowCount{Tenant: r.text(), Key: r.uuid(), Cards: r.int(), Ranges: r.int()}, nil
	}, `WITH wanted AS (SELECT id, name FROM tenants WHERE name IN (SELECT value FROM json_each(?)))
		SELECT w.name, c.data_key, count(*), 0 FROM wanted w JOIN cards c ON c.tenant = w.id GROUP BY w.name, c.data_key
		UNION ALL
		SELECT w.name, b.range_key, 0, count(*) FROM wanted w JOIN bin_ranges b ON b.tenant = w.id GROUP BY w.name, b.range_key`,
		string(names))
}
