package postgres

import (
	"context"
	"math"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
)

const (
	// The first run is the last one that begins at or before $1. No two runs have an
	// index in common, so there are no more of them than indexes.
	selectRuns = `
SELECT first, replica, number, count FROM log_runs
WHERE first >= coalesce((SELECT max(first) FROM log_runs WHERE first <= $1), 0) AND first < $2
ORDER BY first LIMIT $2::int8 - $1`
	selectLogged = `
SELECT w.n, e.time, e.body, e.name FROM unnest($1::uuid[], $2::int8[]) WITH ORDINALITY AS w (replica, number, n)
CROSS JOIN LATERAL (
    SELECT e.time, e.body, t.name FROM audit_entries e JOIN tenants t ON t.id = e.tenant
    WHERE e.replica = w.replica AND e.number = w.number OFFSET 0
) AS e`
)

func scanRun(row pgx.CollectableRow) (ledger.Run, error) {
	var r ledger.Run
	err := row.Scan(&r.First, (*[16]byte)(&r.Replica), &r.Number, &r.Count)
	return r, err
}

// runsWithin returns what the runs have of the indexes from first up to, not
// including, until, in order.
func runsWithin(ctx context.Context, q querier, first, until int64) ([]ledger.Run, error) {
	runs, err := collect(ctx, q, scanRun, selectRuns, first, until)
	for i := range runs {
		r := &runs[i]
		if before := first - r.First; before > 0 {
			r.First, r.Number, r.Count = r.First+before, r.Number+before, r.Count-int(before)
		}
		r.Count = int(min(int64(r.Count), until-r.First))
	}
	return runs, err
}

// ListLog implements ledger.Store.
func (s *Store) ListLog(ctx context.Context, index int64, limit int) ([]ledger.Entry, error) {
	var all []ledger.Entry
	err := repeat(ctx, func() error {
		runs, err := runsWithin(ctx, s.pool, index, after(index, limit))
		if err != nil {
			return err
		}
		all = all[:0]
		for _, r := range runs {
			for i := range int64(r.Count) {
				record := audit.Record{Replica: r.Replica, Number: r.Number + i}
				all = append(all, ledger.Entry{Index: r.First + i, Record: record})
			}
		}
		return s.fillEntries(ctx, all)
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// fillEntries reads the entries that were not dropped.
func (s *Store) fillEntries(ctx context.Context, entries []ledger.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	_, err := collect(ctx, s.pool, func(row pgx.CollectableRow) (struct{}, error) {
		var n, time int64
		var r audit.Record
		if err := row.Scan(&n, &time, &r.Body, &r.Tenant); err != nil {
			return struct{}{}, err
		}
		record := &entries[n-1].Record
		record.Time, record.Body, record.Tenant = at(time), r.Body, r.Tenant
		return struct{}{}, nil
	}, selectLogged,
		column(entries, func(e *ledger.Entry) [16]byte { return e.Record.Replica }),
		column(entries, func(e *ledger.Entry) int64 { return e.Record.Number }))
	return err
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
		column(tiles, func(t *tlog.Tile) int16 { return int16(t.L) }), //nolint:gosec // 0 to 63
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
