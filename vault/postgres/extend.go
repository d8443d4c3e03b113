package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/ledger"
)

var _ ledger.Store = (*Store)(nil)

// What no sequencer asks for that knows the log as it is.
var (
	errRuns  = errors.New("postgres: the runs do not follow each other from the log's size on")
	errChain = errors.New("postgres: a run does not go on where the log has its chain")
)

const (
	growLog = `
UPDATE log_head SET size = $3, beat = beat + 1` + whereTerm + ` AND size = $2`
	// A chain begins with its entry 0.
	growChain = `
INSERT INTO log_chains (next, replica, head)
SELECT $2::int8 + $3, $1, $4 WHERE $2 = 0 OR EXISTS (SELECT FROM log_chains WHERE replica = $1)
ON CONFLICT (replica) DO UPDATE SET next = excluded.next, head = excluded.head WHERE log_chains.next = $2`
	insertRuns = `
INSERT INTO log_runs (first, number, count, replica)
SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::uuid[])`
	upsertTiles = `
INSERT INTO log_tiles (tile, level, hashes)
SELECT * FROM unnest($1::int8[], $2::int2[], $3::bytea[])
ON CONFLICT (level, tile) DO UPDATE SET hashes = excluded.hashes`
)

// ExtendLog implements ledger.Store. Its first statement locks the head until the
// end, so that nobody of this term or another writes beside it.
func (s *Store) ExtendLog(ctx context.Context, term int64, x ledger.Extension) error {
	size, err := sizeAfter(&x)
	if err != nil {
		return err
	}
	return s.transact(ctx, func(t *tx) error {
		n, err := t.exec(ctx, growLog, term, x.Size, size)
		if err != nil {
			return err
		}
		if n == 0 {
			return ledger.ErrFenced
		}
		if err := t.growChains(ctx, x.Runs); err != nil {
			return err
		}
		batch := &pgx.Batch{}
		if len(x.Runs) > 0 {
			batch.Queue(insertRuns, runArgs(x.Runs)...)
		}
		if len(x.Tiles) > 0 {
			batch.Queue(upsertTiles, tileArgs(x.Tiles)...)
		}
		return t.commit(ctx, batch)
	})
}

// sizeAfter returns the log's size with the extension.
func sizeAfter(x *ledger.Extension) (int64, error) {
	size := x.Size
	for i := range x.Runs {
		if x.Runs[i].First != size || x.Runs[i].Count < 1 {
			return 0, errRuns
		}
		size += int64(x.Runs[i].Count)
	}
	return size, nil
}

// growChains joins each run to its chain.
func (t *tx) growChains(ctx context.Context, runs []ledger.Run) error {
	grown, err := t.each(ctx, growChain, len(runs), func(i int) []any {
		r := &runs[i]
		return []any{[16]byte(r.Replica), r.Number, int64(r.Count), r.Head[:]}
	})
	for i := range grown {
		if err == nil && grown[i] == 0 {
			err = fmt.Errorf("%w: replica %s, number %d", errChain, runs[i].Replica, runs[i].Number)
		}
	}
	return err
}

// runArgs returns the arguments of insertRuns.
func runArgs(runs []ledger.Run) []any {
	return []any{
		column(runs, func(r *ledger.Run) int64 { return r.First }),
		column(runs, func(r *ledger.Run) int64 { return r.Number }),
		column(runs, func(r *ledger.Run) int64 { return int64(r.Count) }),
		column(runs, func(r *ledger.Run) [16]byte { return r.Replica }),
	}
}

// tileArgs returns the arguments of upsertTiles.
func tileArgs(tiles []ledger.Tile) []any {
	return []any{
		column(tiles, func(t *ledger.Tile) int64 { return t.Index }),
		column(tiles, func(t *ledger.Tile) int16 { return int16(t.Level) }), //nolint:gosec // 0 to 63
		column(tiles, func(t *ledger.Tile) []byte { return t.Hashes }),
	}
}

const (
	lockLog = `
SELECT ` + headColumns + ` FROM log_head` + whereTerm + ` FOR UPDATE`
	moveFirst = `
UPDATE log_head SET first = $2` + whereTerm
	deleteEntries = `
DELETE FROM audit_entries WHERE replica = $1 AND number >= $2 AND number < $3`
)

// DropEntries implements ledger.Store.
func (s *Store) DropEntries(ctx context.Context, term, first int64, limit int) (dropped int64, err error) {
	err = s.transact(ctx, func(t *tx) error {
		head, err := only(collect(ctx, t, scanLog, lockLog, term))
		if errors.Is(err, vault.ErrNoRow) {
			return ledger.ErrFenced
		}
		if err != nil {
			return err
		}
		dropped = max(head.First, min(first, head.Size, after(head.First, limit)))
		if _, err := t.exec(ctx, moveFirst, term, dropped); err != nil {
			return err
		}
		if err := t.deleteEntries(ctx, head.First, dropped); err != nil {
			return err
		}
		return t.commit(ctx, &pgx.Batch{})
	})
	if err != nil {
		return 0, err
	}
	return dropped, nil
}

// deleteEntries deletes the entries with indexes from first up to, not including,
// until.
func (t *tx) deleteEntries(ctx context.Context, first, until int64) error {
	runs, err := runsWithin(ctx, t, first, until)
	if err != nil {
		return err
	}
	_, err = t.each(ctx, deleteEntries, len(runs), func(i int) []any {
		r := &runs[i]
		return []any{[16]byte(r.Replica), r.Number, r.Number + int64(r.Count)}
	})
	return err
}
