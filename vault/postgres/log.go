package postgres

import (
	"context"
	"math"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/ledger"
)

// runsWithin are the runs that have indexes from $1 up to, not including, $2. They
// are found by the last one that begins at or before $1.
const runsWithin = `
FROM log_runs r WHERE r.first >= coalesce((SELECT max(first) FROM log_runs WHERE first <= $1), 0) AND r.first < $2`

// An entry that was dropped leaves its run, and so its row here.
const selectLogged = `
SELECT r.first + n, r.replica, r.number + n, e.time, e.body, e.name
FROM (SELECT r.* ` + runsWithin + ` OFFSET 0) AS r
CROSS JOIN LATERAL generate_series(greatest($1 - r.first, 0), least(r.count, $2 - r.first) - 1) AS n
LEFT JOIN LATERAL (
    SELECT e.time, e.body, t.name FROM audit_entries e JOIN tenants t ON t.id = e.tenant
    WHERE e.replica = r.replica AND e.number = r.number + n OFFSET 0
) AS e ON true
ORDER BY 1`

func scanLogged(row pgx.CollectableRow) (ledger.Entry, error) {
	var e ledger.Entry
	var time pgtype.Int8
	var tenant pgtype.Text
	err := row.Scan(&e.Index, (*[16]byte)(&e.Record.Replica), &e.Record.Number, &time, &e.Record.Body, &tenant)
	e.Record.Time, e.Record.Tenant = at(time.Int64), tenant.String
	return e, err
}

// ListLog implements ledger.Store.
func (s *Store) ListLog(ctx context.Context, index int64, limit int) ([]ledger.Entry, error) {
	return run(ctx, s, scanLogged, selectLogged, index, after(index, limit))
}

// after returns the index limit entries on, or the last there can be.
func after(index int64, limit int) int64 {
	if int64(limit) > math.MaxInt64-index {
		return math.MaxInt64
	}
	return index + int64(limit)
}

const selectRun = `
SELECT first, replica, number, count FROM log_runs WHERE replica = $1 AND number <= $2 ORDER BY number DESC LIMIT 1`

func scanRun(row pgx.CollectableRow) (ledger.Run, error) {
	var r ledger.Run
	err := row.Scan(&r.First, (*[16]byte)(&r.Replica), &r.Number, &r.Count)
	return r, err
}

// IndexOf implements ledger.Store.
func (s *Store) IndexOf(ctx context.Context, replica uuid.UUID, number int64) (int64, bool, error) {
	runs, err := run(ctx, s, scanRun, selectRun, [16]byte(replica), number)
	if err != nil || len(runs) == 0 || number >= runs[0].Number+int64(runs[0].Count) {
		return 0, false, err
	}
	return runs[0].First + number - runs[0].Number, true, nil
}

const selectTiles = `
SELECT t.level, t.tile, t.hashes FROM unnest($1::int2[], $2::int8[]) AS w (level, tile)
CROSS JOIN LATERAL (SELECT * FROM log_tiles WHERE level = w.level AND tile = w.tile OFFSET 0) AS t`

func scanTile(row pgx.CollectableRow) (ledger.Tile, error) {
	var t ledger.Tile
	err := row.Scan(&t.Level, &t.Index, &t.Hashes)
	return t, err
}

// Tiles implements ledger.Store.
func (s *Store) Tiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	found, err := run(ctx, s, scanTile, selectTiles,
		column(tiles, func(t *tlog.Tile) int16 { return int16(t.L) }),
		column(tiles, func(t *tlog.Tile) int64 { return t.N }))
	if err != nil {
		return nil, err
	}
	type place struct {
		level int
		index int64
	}
	hashes := make(map[place][]byte, len(found))
	for _, t := range found {
		hashes[place{t.Level, t.Index}] = t.Hashes
	}
	all := make([][]byte, len(tiles))
	for i, t := range tiles {
		all[i] = hashes[place{t.L, t.N}]
	}
	return all, nil
}
