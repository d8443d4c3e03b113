package sqlite

import (
	"context"
	"math"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"

	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
)

func scanRun(r *row) (ledger.Run, error) {
	return ledger.Run{First: r.int(), Replica: r.uuid(), Number: r.int(), Count: int(r.int())}, nil
}

// runsWithin returns what the runs have of the indexes from first up to, not
// including, until, in order.
func runsWithin(conn *sqlite.Conn, first, until int64) ([]ledger.Run, error) {
	runs, err := collect(conn, scanRun, `
		SELECT first, replica, number, count FROM log_runs
		WHERE first >= coalesce((SELECT max(first) FROM log_runs WHERE first <= ?1), 0) AND first < ?2
		ORDER BY first`, first, until)
	within := runs[:0]
	for _, r := range runs {
		if before := first - r.First; before > 0 {
			r.First, r.Number, r.Count = r.First+before, r.Number+before, r.Count-int(before)
		}
		r.Count = int(min(int64(r.Count), until-r.First))
		if r.Count > 0 {
			within = append(within, r)
		}
	}
	return within, err
}

// ListLog implements ledger.Store.
func (s *Store) ListLog(ctx context.Context, index int64, limit int) ([]ledger.Entry, error) {
	var all []ledger.Entry
	err := s.reading(ctx, func(conn *sqlite.Conn) error {
		runs, err := runsWithin(conn, index, after(index, limit))
		for i := range runs {
			if err != nil {
				return err
			}
			all, err = appendEntries(all, conn, &runs[i])
		}
		return err
	})
	return all, err
}

// appendEntries appends the entries of a run, the dropped ones as they are named.
func appendEntries(all []ledger.Entry, conn *sqlite.Conn, run *ledger.Run) ([]ledger.Entry, error) {
	records, err := collect(conn, scanEntry, selectEntries+`
		WHERE e.replica = ? AND e.number >= ? AND e.number < ? ORDER BY e.number`,
		run.Replica[:], run.Number, run.Number+int64(run.Count))
	for i := range int64(run.Count) {
		record := audit.Record{Replica: run.Replica, Number: run.Number + i}
		if len(records) > 0 && records[0].Number == record.Number {
			record, records = records[0], records[1:]
		}
		all = append(all, ledger.Entry{Index: run.First + i, Record: record})
	}
	return all, err
}

// IndexOf implements ledger.Store.
func (s *Store) IndexOf(ctx context.Context, replica uuid.UUID, number int64) (int64, bool, error) {
	runs, err := read(ctx, s, scanRun, `
		SELECT first, replica, number, count FROM log_runs
		WHERE replica = ? AND number <= ? ORDER BY number DESC LIMIT 1`, replica[:], number)
	if err != nil || len(runs) == 0 || number >= runs[0].Number+int64(runs[0].Count) {
		return 0, false, err
	}
	return runs[0].First + number - runs[0].Number, true, nil
}

// Tiles implements ledger.Store.
func (s *Store) Tiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(tiles))
	err := s.reading(ctx, func(conn *sqlite.Conn) error {
		for i, tile := range tiles {
			found, err := collect(conn, func(r *row) ([]byte, error) { return r.bytes(), nil },
				`SELECT hashes FROM log_tiles WHERE level = ? AND tile = ?`, tile.L, tile.N)
			if err != nil {
				return err
			}
			if len(found) > 0 {
				all[i] = found[0]
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// after returns the index limit entries on, or the last there can be.
func after(index int64, limit int) int64 {
	if int64(limit) > math.MaxInt64-index {
		return math.MaxInt64
	}
	return index + int64(limit)
}
