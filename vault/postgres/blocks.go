package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cardvault/cardvault/vault"
)

// Every number below a range's carved count is either used, or in exactly one
// block from next up to until. Each statement here keeps that by itself: it moves
// a bound only where the bounds still are as they were read.

const blockColumns = `replica, range_number, start, next, until`

func scanBlock(row pgx.CollectableRow) (vault.Block, error) {
	var b vault.Block
	err := row.Scan((*[16]byte)(&b.Replica), &b.RangeNumber, &b.Start, &b.Next, &b.End)
	return b, err
}

// The lock reads the count as it is after whoever else carves.
const carveBlock = `
WITH was AS (
    SELECT number, carved, least(carved + $3, last - first + 1) AS until
    FROM bin_ranges WHERE number = $1 FOR UPDATE
), grown AS (
    UPDATE bin_ranges r SET carved = was.until FROM was
    WHERE r.number = was.number AND was.until > was.carved
    RETURNING was.carved AS start, was.until
)
INSERT INTO range_blocks (range_number, start, replica, next, until)
SELECT $1, start, $2, start, until FROM grown RETURNING ` + blockColumns

// TakeBlock implements vault.Tx.
func (t *tx) TakeBlock(ctx context.Context, replica uuid.UUID, rangeNumber int32, size int64) (vault.Block, error) {
	carved, err := only(collect(ctx, t, scanBlock, carveBlock, rangeNumber, [16]byte(replica), max(size, 1)))
	if !errors.Is(err, vault.ErrNoRow) {
		return carved, err
	}
	for {
		largest, err := only(collect(ctx, t, scanBlock, selectLargest, rangeNumber, [16]byte(replica)))
		if err != nil {
			return vault.Block{}, err
		}
		taken, err := only(t.split(ctx, replica, largest))
		if !errors.Is(err, vault.ErrNoRow) {
			return taken, err
		}
		// It was advanced or split meanwhile: somebody else got on, so this ends.
	}
}

const (
	selectLargest = `
SELECT ` + blockColumns + ` FROM range_blocks WHERE range_number = $1 AND replica <> $2 AND next < until
ORDER BY until - next DESC, start LIMIT 1`
	takeWhole = `
UPDATE range_blocks SET replica = $1
WHERE range_number = $2 AND start = $3 AND replica = $4 AND next = $5 AND until = $6
RETURNING ` + blockColumns
	takeHalf = `
WITH left_behind AS (
    UPDATE range_blocks SET until = $7
    WHERE range_number = $2 AND start = $3 AND replica = $4 AND next = $5 AND until = $6 RETURNING range_number
)
INSERT INTO range_blocks (range_number, start, replica, next, until)
SELECT range_number, $7, $1, $7, $6 FROM left_behind RETURNING ` + blockColumns
)

// split takes the upper half of a block, or the whole of one that has a single
// number left.
func (t *tx) split(ctx context.Context, replica uuid.UUID, b vault.Block) ([]vault.Block, error) {
	args := []any{[16]byte(replica), b.RangeNumber, b.Start, [16]byte(b.Replica), b.Next, b.End}
	if b.End-b.Next == 1 {
		return collect(ctx, t, scanBlock, takeWhole, args...)
	}
	return collect(ctx, t, scanBlock, takeHalf, append(args, b.Next+(b.End-b.Next)/2)...)
}

const selectBlocks = `
SELECT ` + blockColumns + ` FROM range_blocks WHERE range_number = $1 AND replica = $2 AND next < until ORDER BY start`

// Blocks implements vault.Store.
func (s *Store) Blocks(ctx context.Context, replica uuid.UUID, rangeNumber int32) ([]vault.Block, error) {
	return run(ctx, s, scanBlock, selectBlocks, rangeNumber, [16]byte(replica))
}

const (
	advanceBlock = `
UPDATE range_blocks SET next = $5
WHERE range_number = $1 AND start = $2 AND replica = $3 AND next = $4 AND until >= $5 RETURNING ` + blockColumns
	deleteBlock = `
DELETE FROM range_blocks WHERE range_number = $1 AND start = $2`
)

// AdvanceBlock implements vault.Tx.
func (t *tx) AdvanceBlock(ctx context.Context, b vault.Block, next int64) (bool, error) {
	moved, err := only(collect(ctx, t, scanBlock, advanceBlock, b.RangeNumber, b.Start, [16]byte(b.Replica), b.Next, next))
	if errors.Is(err, vault.ErrNoRow) {
		return false, nil
	}
	if err == nil && moved.Next == moved.End {
		_, err = t.exec(ctx, deleteBlock, b.RangeNumber, b.Start)
	}
	return err == nil, err
}
