package sqlite

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault"
)

// Every number below a range's carved count is either used, or in exactly one
// block from next up to until. Writers take turns, so what a statement reads is
// still so in the next one.

const blockColumns = `replica, range_number, start, next, until`

func scanBlock(r *row) (vault.Block, error) {
	return vault.Block{Replica: r.uuid(), RangeNumber: r.int32(), Start: r.int(), Next: r.int(), End: r.int()}, nil
}

// TakeBlock implements vault.Tx.
func (t *tx) TakeBlock(_ context.Context, replica uuid.UUID, rangeNumber int32, size int64) (vault.Block, error) {
	block, err := t.carve(replica, rangeNumber, max(size, 1))
	if errors.Is(err, vault.ErrNoRow) {
		return t.split(replica, rangeNumber)
	}
	return block, err
}

// carve gives the replica numbers that nobody had.
func (t *tx) carve(replica uuid.UUID, rangeNumber int32, size int64) (vault.Block, error) {
	carved, err := only(collect(t.conn, scanInt,
		`SELECT carved FROM bin_ranges WHERE number = ? AND carved < last - first + 1`, rangeNumber))
	if err != nil {
		return vault.Block{}, err
	}
	until, err := only(collect(t.conn, scanInt,
		`UPDATE bin_ranges SET carved = min(carved + ?, last - first + 1) WHERE number = ? RETURNING carved`, size, rangeNumber))
	if err != nil {
		return vault.Block{}, err
	}
	return t.insertBlock(replica, rangeNumber, carved, until)
}

// split gives the replica the upper half of the largest block of another, or the
// whole of one that has a single number left.
func (t *tx) split(replica uuid.UUID, rangeNumber int32) (vault.Block, error) {
	b, err := only(collect(t.conn, scanBlock, `
		SELECT `+blockColumns+` FROM range_blocks WHERE range_number = ? AND replica <> ? AND next < until
		ORDER BY until - next DESC, start LIMIT 1`, rangeNumber, replica[:]))
	if err != nil {
		return vault.Block{}, err
	}
	if b.End-b.Next == 1 {
		return only(collect(t.conn, scanBlock, `
			UPDATE range_blocks SET replica = ? WHERE range_number = ? AND start = ? RETURNING `+blockColumns,
			replica[:], rangeNumber, b.Start))
	}
	middle := b.Next + (b.End-b.Next)/2
	if _, err := t.exec(`UPDATE range_blocks SET until = ? WHERE range_number = ? AND start = ?`, middle, rangeNumber, b.Start); err != nil {
		return vault.Block{}, err
	}
	return t.insertBlock(replica, rangeNumber, middle, b.End)
}

func (t *tx) insertBlock(replica uuid.UUID, rangeNumber int32, start, until int64) (vault.Block, error) {
	return only(collect(t.conn, scanBlock, `
		INSERT INTO range_blocks (range_number, start, replica, next, until) VALUES (?1, ?2, ?3, ?2, ?4) RETURNING `+blockColumns,
		rangeNumber, start, replica[:], until))
}

// Blocks implements vault.Store.
func (s *Store) Blocks(ctx context.Context, replica uuid.UUID, rangeNumber int32) ([]vault.Block, error) {
	return read(ctx, s, scanBlock, `
		SELECT `+blockColumns+` FROM range_blocks WHERE range_number = ? AND replica = ? AND next < until ORDER BY start`,
		rangeNumber, replica[:])
}

// AdvanceBlock implements vault.Tx.
func (t *tx) AdvanceBlock(_ context.Context, b vault.Block, next int64) (bool, error) {
	moved, err := only(collect(t.conn, scanBlock, `
		UPDATE range_blocks SET next = ?
		WHERE range_number = ? AND start = ? AND replica = ? AND next = ? AND until >= ? RETURNING `+blockColumns,
		next, b.RangeNumber, b.Start, b.Replica[:], b.Next, next))
	if errors.Is(err, vault.ErrNoRow) {
		return false, nil
	}
	if err == nil && moved.Next == moved.End {
		_, err = t.exec(`DELETE FROM range_blocks WHERE range_number = ? AND start = ?`, b.RangeNumber, b.Start)
	}
	return err == nil, err
}
