package postgres

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/cardvault/cardvault/vault"
)

const selectRanges = `
SELECT r.number, r.name, r.prefix, r.length, r.first, r.last, r.reserved, r.validity_months, r.state, r.created,
       r.range_key, r.tag, r.carved, r.gone, coalesce((SELECT sum(b.until - b.next) FROM range_blocks b WHERE b.range_number = r.number), 0)::int8
FROM bin_ranges r WHERE r.tenant = $1`

func scanRange(row pgx.CollectableRow) (vault.BINRangeRow, error) {
	var r vault.BINRangeRow
	var reserved string
	var created int64
	err := row.Scan(&r.Number, &r.Name, &r.Prefix, &r.Length, &r.First, &r.Last, &reserved, &r.ValidityMonths,
		(*int16)(&r.State), &created, (*[16]byte)(&r.Key), &r.Tag, &r.Carved, &r.Gone, &r.Left)
	if err == nil && reserved != "" {
		err = json.Unmarshal([]byte(reserved), &r.Reserved)
	}
	r.Created = at(created)
	return r, err
}

// BINRange implements vault.Store.
func (s *Store) BINRange(ctx context.Context, tenant, name string) (vault.BINRangeRow, error) {
	number, err := s.tenant(ctx, tenant)
	if err != nil {
		return vault.BINRangeRow{}, err
	}
	return only(run(ctx, s, scanRange, selectRanges+` AND r.name = $2`, number, name))
}

// ListBINRanges implements vault.Store.
func (s *Store) ListBINRanges(ctx context.Context, tenant string) ([]vault.BINRangeRow, error) {
	number, err := s.tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return run(ctx, s, scanRange, selectRanges+` ORDER BY r.name COLLATE "C"`, number)
}

const (
	nextRangeNumber = `
UPDATE counters SET value = value + 1 WHERE name = 'bin_ranges' RETURNING value`
	rangeNameTaken = `
SELECT number FROM bin_ranges WHERE tenant = $1 AND name = $2`
	rangeOverlaps = `
SELECT number FROM bin_ranges WHERE length = $1 AND low <= $3 AND high >= $2 LIMIT 1`
	insertRange = `
INSERT INTO bin_ranges (number, tenant, name, prefix, length, first, last, low, high, reserved, validity_months,
                        state, created, range_key, tag, carved, gone)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0, 0)`
)

// InsertBINRange implements vault.Tx. The first statement locks the counter until
// the transaction ends, so that the ones after it see every range there is.
func (t *tx) InsertBINRange(ctx context.Context, tenant string, row vault.BINRangeRow) (int32, error) {
	low, high, err := row.Span()
	if err != nil {
		return 0, err
	}
	reserved, err := encodeIntervals(row.Reserved)
	if err != nil {
		return 0, err
	}
	id, err := t.tenant(ctx, tenant)
	if err != nil {
		return 0, err
	}
	number, err := only(collect(ctx, t, scanInt[int32], nextRangeNumber))
	if err != nil {
		return 0, err
	}
	if err := t.refuse(ctx, vault.ErrTaken, rangeNameTaken, id, row.Name); err != nil {
		return 0, err
	}
	if err := t.refuse(ctx, vault.ErrOverlap, rangeOverlaps, row.Length, low, high); err != nil {
		return 0, err
	}
	_, err = t.exec(ctx, insertRange, number, id, row.Name, row.Prefix, row.Length, row.First, row.Last, low, high,
		reserved, row.ValidityMonths, int16(row.State), micros(row.Created), [16]byte(row.Key), row.Tag)
	return number, err
}

// refuse returns reason where a query finds a range.
func (t *tx) refuse(ctx context.Context, reason error, sql string, args ...any) error {
	found, err := collect(ctx, t, scanInt[int32], sql, args...)
	if err == nil && len(found) > 0 {
		return reason
	}
	return err
}

func encodeIntervals(intervals []vault.Interval) (string, error) {
	if len(intervals) == 0 {
		return "", nil
	}
	text, err := json.Marshal(intervals)
	return string(text), err
}

const setRangeState = `
UPDATE bin_ranges SET state = $4 WHERE tenant = $1 AND name = $2 AND state = $3`

// SetBINRangeState implements vault.Tx.
func (t *tx) SetBINRangeState(ctx context.Context, tenant, name string, from, to vault.BINRangeState) (bool, error) {
	id, err := t.tenant(ctx, tenant)
	if err != nil {
		return false, err
	}
	n, err := t.exec(ctx, setRangeState, id, name, int16(from), int16(to))
	return n == 1, err
}

// PassNumbers implements vault.Tx.
func (t *tx) PassNumbers(_ context.Context, rangeNumber int32, n int64) error {
	t.gone[rangeNumber] += n
	return nil
}

const selectRangeNames = `
SELECT number, name FROM bin_ranges WHERE number = ANY($1)`

type rangeName struct {
	number int32
	name   string
}

func scanRangeName(row pgx.CollectableRow) (rangeName, error) {
	var r rangeName
	err := row.Scan(&r.number, &r.name)
	return r, err
}

// nameRanges fills in the names of the cards' ranges. Each is read once in the
// life of a Store.
func (s *Store) nameRanges(ctx context.Context, cards []*vault.CardRow) error {
	return s.fillNames(cards, func(numbers []int32) ([]rangeName, error) {
		found, err := run(ctx, s, scanRangeName, selectRangeNames, numbers)
		for _, r := range found {
			s.ranges.Store(r.number, r.name)
		}
		return found, err
	})
}

// nameRanges keeps no name for later: the transaction may have made it.
func (t *tx) nameRanges(ctx context.Context, cards []*vault.CardRow) error {
	return t.store.fillNames(cards, func(numbers []int32) ([]rangeName, error) {
		return collect(ctx, t, scanRangeName, selectRangeNames, numbers)
	})
}

// fillNames asks lookup for the names that are not known yet.
func (s *Store) fillNames(cards []*vault.CardRow, lookup func(numbers []int32) ([]rangeName, error)) error {
	unknown := map[int32][]*vault.CardRow{}
	for _, card := range cards {
		if card.RangeNumber == 0 {
			continue
		}
		if name, ok := s.ranges.Load(card.RangeNumber); ok {
			card.BINRange = name.(string)
			continue
		}
		unknown[card.RangeNumber] = append(unknown[card.RangeNumber], card)
	}
	if len(unknown) == 0 {
		return nil
	}
	found, err := lookup(slices.Collect(maps.Keys(unknown)))
	for _, r := range found {
		for _, card := range unknown[r.number] {
			card.BINRange = r.name
		}
	}
	return err
}
