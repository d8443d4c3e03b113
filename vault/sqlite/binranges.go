package sqlite

import (
	"context"
	"encoding/json"

	"github.com/cardvault/cardvault/vault"
)

const selectRanges = `
SELECT r.number, r.name, r.prefix, r.length, r.first, r.last, r.reserved, r.validity_months, r.state, r.created,
       r.range_key, r.tag, r.carved, r.gone, coalesce((SELECT sum(b.until - b.next) FROM range_blocks b WHERE b.range_number = r.number), 0)
FROM bin_ranges r WHERE r.tenant = ? `

func scanRange(r *row) (vault.BINRangeRow, error) {
	b := vault.BINRangeRow{
		Number: r.int32(), Name: r.text(), Prefix: r.text(), Length: r.int16(), First: r.int(), Last: r.int(),
	}
	var err error
	if reserved := r.text(); reserved != "" {
		err = json.Unmarshal([]byte(reserved), &b.Reserved)
	}
	b.ValidityMonths, b.State, b.Created = r.int16(), vault.BINRangeState(r.int16()), r.time()
	b.Key, b.Tag = r.uuid(), r.int()
	b.Carved, b.Gone, b.Left = r.int(), r.int(), r.int()
	return b, err
}

// BINRange implements vault.Store.
func (s *Store) BINRange(ctx context.Context, tenant, name string) (vault.BINRangeRow, error) {
	number, err := s.tenant(ctx, tenant)
	if err != nil {
		return vault.BINRangeRow{}, err
	}
	return only(read(ctx, s, scanRange, selectRanges+`AND r.name = ?`, number, name))
}

// ListBINRanges implements vault.Store.
func (s *Store) ListBINRanges(ctx context.Context, tenant string) ([]vault.BINRangeRow, error) {
	number, err := s.tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return read(ctx, s, scanRange, selectRanges+`ORDER BY r.name`, number)
}

// InsertBINRange implements vault.Tx.
func (t *tx) InsertBINRange(_ context.Context, tenant string, row vault.BINRangeRow) (int32, error) {
	low, high, err := row.Span()
	if err != nil {
		return 0, err
	}
	var reserved []byte
	if len(row.Reserved) > 0 {
		if reserved, err = json.Marshal(row.Reserved); err != nil {
			return 0, err
		}
	}
	id, err := t.tenant(tenant)
	if err != nil {
		return 0, err
	}
	if err := t.refuse(vault.ErrTaken, `SELECT number FROM bin_ranges WHERE tenant = ? AND name = ?`, id, row.Name); err != nil {
		return 0, err
	}
	err = t.refuse(vault.ErrOverlap, `SELECT number FROM bin_ranges WHERE length = ? AND low <= ? AND high >= ?`, row.Length, high, low)
	if err != nil {
		return 0, err
	}
	return only(collect(t.conn, scanInt32, `
		INSERT INTO bin_ranges (tenant, name, prefix, length, first, last, low, high, reserved, validity_months,
		                        state, created, range_key, tag, carved, gone)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0) RETURNING number`,
		id, row.Name, row.Prefix, row.Length, row.First, row.Last, low, high, string(reserved), row.ValidityMonths,
		row.State, micros(row.Created), row.Key[:], row.Tag))
}

// refuse returns reason where a query finds a range.
func (t *tx) refuse(reason error, sql string, args ...any) error {
	found, err := collect(t.conn, scanInt, sql, args...)
	if err == nil && len(found) > 0 {
		return reason
	}
	return err
}

// SetBINRangeState implements vault.Tx.
func (t *tx) SetBINRangeState(_ context.Context, tenant, name string, from, to vault.BINRangeState) (bool, error) {
	id, err := t.tenant(tenant)
	if err != nil {
		return false, err
	}
	n, err := t.exec(`UPDATE bin_ranges SET state = ? WHERE tenant = ? AND name = ? AND state = ?`, to, id, name, from)
	return n == 1, err
}

// PassNumbers implements vault.Tx.
func (t *tx) PassNumbers(_ context.Context, rangeNumber int32, n int64) error {
	return t.addGone(int64(rangeNumber), n)
}
