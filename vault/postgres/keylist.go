package postgres

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cardvault/cardvault/vault"
)

// Wrapped bytes are not among the columns.
const listKeys = `
SELECT k.id, t.name, k.purpose, k.subject, k.state, k.kek_kind, k.kek_version, k.uses, k.created
FROM keys k JOIN tenants t ON t.id = k.tenant `

func scanListedKey(row pgx.CollectableRow) (vault.KeyListRow, error) {
	var k vault.KeyListRow
	var created int64
	err := row.Scan((*[16]byte)(&k.ID), &k.Tenant, &k.Purpose, &k.Subject, &k.State, &k.KEKKind, &k.KEKVersion, &k.Uses, &created)
	k.Created = at(created)
	return k, err
}

// ListKeys implements vault.Store. In the collation "C" names are ordered by their
// bytes, whatever the database's is.
func (s *Store) ListKeys(ctx context.Context, after vault.KeyPosition, limit int) ([]vault.KeyListRow, error) {
	return run(ctx, s, scanListedKey, listKeys+`
WHERE (t.name COLLATE "C", k.id) > ($1, $2) ORDER BY t.name COLLATE "C", k.id LIMIT $3`,
		after.Tenant, [16]byte(after.ID), limit)
}

// CountKeys implements vault.Store.
func (s *Store) CountKeys(ctx context.Context) ([]vault.KeyCount, error) {
	return run(ctx, s, func(row pgx.CollectableRow) (vault.KeyCount, error) {
		var c vault.KeyCount
		var oldest int64
		err := row.Scan(&c.Purpose, &c.State, &c.KEKKind, &c.KEKVersion, &c.Keys, &oldest, &c.MostUses)
		c.Oldest = at(oldest)
		return c, err
	}, `
SELECT purpose, state, kek_kind, kek_version, count(*), min(created), max(uses)
FROM keys GROUP BY purpose, state, kek_kind, kek_version`)
}

// EndingKeys implements vault.Store.
func (s *Store) EndingKeys(ctx context.Context, purpose string, created time.Time, uses int64, limit int) ([]vault.KeyListRow, error) {
	return run(ctx, s, scanListedKey, listKeys+`
WHERE k.state = 'active' AND k.purpose = $1 AND (k.created <= $2 OR k.uses >= $3) ORDER BY k.created, k.id LIMIT $4`,
		purpose, micros(created), uses, limit)
}

// The cards are read once, for all keys together.
const countKeyRows = `
WITH wanted AS (SELECT id, name FROM tenants WHERE name = ANY($1))
SELECT w.name, c.data_key, count(*), 0::int8 FROM wanted w JOIN cards c ON c.tenant = w.id GROUP BY w.name, c.data_key
UNION ALL
SELECT w.name, b.range_key, 0::int8, count(*) FROM wanted w JOIN bin_ranges b ON b.tenant = w.id GROUP BY w.name, b.range_key`

// CountKeyRows implements vault.Store. The server is told when to stop: it would go
// on reading for a client that hung up.
func (s *Store) CountKeyRows(ctx context.Context, tenants []string, within time.Duration) (counts []vault.KeyRowCount, err error) {
	err = s.transact(ctx, func(t *tx) error {
		timeout := strconv.FormatInt(max(within.Milliseconds(), 1), 10)
		if _, err := t.exec(ctx, `SELECT set_config('statement_timeout', $1, true)`, timeout); err != nil {
			return err
		}
		if counts, err = collect(ctx, t, scanKeyRowCount, countKeyRows, tenants); err != nil {
			return err
		}
		t.rollback(ctx) // there is nothing to commit
		return nil
	})
	if hasCode(err, codeQueryCanceled) {
		return nil, fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return counts, err
}

func scanKeyRowCount(row pgx.CollectableRow) (vault.KeyRowCount, error) {
	var c vault.KeyRowCount
	err := row.Scan(&c.Tenant, (*[16]byte)(&c.Key), &c.Cards, &c.Ranges)
	return c, err
}
