package postgres

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/vault"
)

const cardColumns = `
c.id, c.fingerprint, c.data_key, c.sealed, c.token, c.token_tag,
c.state, c.origin, c.expiry, c.last_four, c.range_number, c.created`

// cardScan is a card on its way out of its columns.
type cardScan struct {
	card    vault.CardRow
	token   pgtype.UUID
	created int64
}

// targets returns where cardColumns go.
func (s *cardScan) targets() []any {
	c := &s.card
	return []any{
		(*[16]byte)(&c.ID), (*[16]byte)(&c.Fingerprint), (*[16]byte)(&c.Key), &c.Sealed, &s.token, &c.StandingTag,
		(*int16)(&c.State), (*int16)(&c.Origin), (*int16)(&c.Expiry), &c.LastFour, &c.RangeNumber, &s.created,
	}
}

func (s *cardScan) row() vault.CardRow {
	s.card.StandingToken, s.card.Created = s.token.Bytes, at(s.created)
	return s.card
}

// scanCards scans one card after the other; only what a card keeps is allocated.
func scanCards() pgx.RowToFunc[vault.CardRow] {
	var s cardScan
	targets := s.targets()
	return func(row pgx.CollectableRow) (vault.CardRow, error) {
		err := row.Scan(targets...)
		return s.row(), err
	}
}

func (s *Store) cards(ctx context.Context, sql string, args ...any) ([]vault.CardRow, error) {
	rows, err := run(ctx, s, scanCards(), sql, args...)
	if err != nil {
		return nil, err
	}
	return rows, s.nameRanges(ctx, pointers(rows))
}

func (t *tx) cards(ctx context.Context, sql string, args ...any) ([]vault.CardRow, error) {
	rows, err := collect(ctx, t, scanCards(), sql, args...)
	if err != nil {
		return nil, err
	}
	return rows, t.nameRanges(ctx, pointers(rows))
}

const selectCard = `
SELECT ` + cardColumns + ` FROM cards c WHERE c.tenant = $1 AND c.id = $2`

// Card implements vault.Store.
func (s *Store) Card(ctx context.Context, tenant string, id uuid.UUID) (vault.CardRow, error) {
	number, err := s.tenant(ctx, tenant)
	if err != nil {
		return vault.CardRow{}, err
	}
	return only(s.cards(ctx, selectCard, number, [16]byte(id)))
}

const selectCards = `
SELECT ` + cardColumns + ` FROM cards c WHERE c.tenant = $1 AND c.id > $2 AND c.state <> $3
ORDER BY c.id LIMIT $4`

// ListCards implements vault.Store.
func (s *Store) ListCards(ctx context.Context, tenant string, after uuid.UUID, limit int) ([]vault.CardRow, error) {
	number, err := s.tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return s.cards(ctx, selectCards, number, [16]byte(after), int16(vault.CardDeleted), limit)
}

const insertCards = `
INSERT INTO cards (tenant, created, token_tag, range_number, expiry, last_four, state, origin,
                   id, fingerprint, data_key, token, sealed)
SELECT $1, * FROM unnest($2::int8[], $3::int8[], $4::int4[], $5::int2[], $6::int2[], $7::int2[], $8::int2[],
                         $9::uuid[], $10::uuid[], $11::uuid[], $12::uuid[], $13::bytea[])
ON CONFLICT DO NOTHING RETURNING id`

// InsertCards implements vault.Tx.
func (t *tx) InsertCards(ctx context.Context, tenant string, rows []vault.CardRow) ([]vault.CardRow, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	number, err := t.tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b vault.CardRow) int { return bytes.Compare(a.Fingerprint[:], b.Fingerprint[:]) })
	added, err := collect(ctx, t, scanUUID[uuid.UUID], insertCards, number,
		column(rows, func(c *vault.CardRow) int64 { return micros(c.Created) }),
		column(rows, func(c *vault.CardRow) int64 { return c.StandingTag }),
		column(rows, func(c *vault.CardRow) int32 { return c.RangeNumber }),
		column(rows, func(c *vault.CardRow) int16 { return int16(c.Expiry) }),
		column(rows, func(c *vault.CardRow) int16 { return c.LastFour }),
		column(rows, func(c *vault.CardRow) int16 { return int16(c.State) }),
		column(rows, func(c *vault.CardRow) int16 { return int16(c.Origin) }),
		column(rows, func(c *vault.CardRow) [16]byte { return c.ID }),
		column(rows, func(c *vault.CardRow) [16]byte { return c.Fingerprint }),
		column(rows, func(c *vault.CardRow) [16]byte { return c.Key }),
		column(rows, func(c *vault.CardRow) pgtype.UUID { return nullable(c.StandingToken) }),
		column(rows, func(c *vault.CardRow) []byte { return c.Sealed }),
	)
	if err != nil || len(added) == len(rows) {
		return nil, err
	}
	return t.standing(ctx, number, rows, added)
}

const selectByFingerprint = `
SELECT ` + cardColumns + ` FROM unnest($2::uuid[]) AS w (fingerprint)
CROSS JOIN LATERAL (SELECT * FROM cards WHERE tenant = $1 AND fingerprint = w.fingerprint OFFSET 0) AS c`

// standing returns the cards in whose favour rows were not added. A statement of
// its own sees what was committed while the insert waited for it.
func (t *tx) standing(ctx context.Context, tenant int32, rows []vault.CardRow, added []uuid.UUID) ([]vault.CardRow, error) {
	isNew := make(map[uuid.UUID]bool, len(added))
	for _, id := range added {
		isNew[id] = true
	}
	wanted := map[uuid.UUID]bool{}
	for i := range rows {
		if !isNew[rows[i].ID] {
			wanted[rows[i].Fingerprint] = true
		}
	}
	fingerprints := make([]uuid.UUID, 0, len(wanted))
	for fingerprint := range wanted {
		fingerprints = append(fingerprints, fingerprint)
	}
	taken, err := t.cards(ctx, selectByFingerprint, tenant, uuids(fingerprints))
	if err == nil && len(taken) < len(wanted) {
		err = fmt.Errorf("id or standing token of a new card: %w", vault.ErrTaken)
	}
	return taken, err
}

const reviveCard = `
UPDATE cards SET state = $3, data_key = $4, sealed = $5, token = $6, token_tag = $7, expiry = $8, last_four = $9, created = $10
WHERE tenant = $1 AND id = $2 AND state = $11 RETURNING CASE WHEN origin = $12 THEN range_number ELSE 0 END`

// ReviveCard implements vault.Tx.
func (t *tx) ReviveCard(ctx context.Context, tenant string, row vault.CardRow) (bool, error) {
	number, err := t.tenant(ctx, tenant)
	if err != nil {
		return false, err
	}
	return t.change(ctx, -1, reviveCard, number, [16]byte(row.ID),
		int16(vault.CardActive), [16]byte(row.Key), row.Sealed, nullable(row.StandingToken), row.StandingTag,
		int16(row.Expiry), row.LastFour, micros(row.Created), int16(vault.CardDeleted), int16(vault.Issued))
}

// change runs a statement that returns, for each card it changed, the range whose
// Gone changes by n, or 0. It reports whether it changed any.
func (t *tx) change(ctx context.Context, n int64, sql string, args ...any) (bool, error) {
	ranges, err := collect(ctx, t, scanInt[int32], sql, args...)
	for _, number := range ranges {
		if number != 0 {
			t.gone[number] += n
		}
	}
	return len(ranges) > 0, err
}

const setStanding = `
UPDATE cards SET token = $3, token_tag = $4 WHERE tenant = $1 AND id = $2 AND token IS NULL AND state <> $5`

// SetStandingToken implements vault.Tx.
func (t *tx) SetStandingToken(ctx context.Context, tenant string, card uuid.UUID, token tokenizer.ID, tag int64) (vault.CardRow, error) {
	number, err := t.tenant(ctx, tenant)
	if err != nil {
		return vault.CardRow{}, err
	}
	_, err = t.exec(ctx, setStanding, number, [16]byte(card), [16]byte(token), tag, int16(vault.CardDeleted))
	if err != nil {
		return vault.CardRow{}, err
	}
	return only(t.cards(ctx, selectCard, number, [16]byte(card)))
}

const updateCard = `
UPDATE cards SET state = $5, expiry = $6
WHERE tenant = $1 AND id = $2 AND state = $3 AND expiry = $4 AND state <> $7
RETURNING CASE WHEN origin = $8 AND $3 <> $9 AND $5 = $9 THEN range_number ELSE 0 END`

// UpdateCard implements vault.Tx.
func (t *tx) UpdateCard(ctx context.Context, tenant string, was, now vault.CardRow) (bool, error) {
	number, err := t.tenant(ctx, tenant)
	if err != nil {
		return false, err
	}
	return t.change(ctx, 1, updateCard, number, [16]byte(was.ID),
		int16(was.State), int16(was.Expiry), int16(now.State), int16(now.Expiry),
		int16(vault.CardDeleted), int16(vault.Issued), int16(vault.CardClosed))
}

// The lock comes first: it waits for whoever is adding a token to the card, and
// the statement after it sees that token.
const deleteCard = `
WITH was AS (SELECT state FROM cards WHERE tenant = $1 AND id = $2 AND state <> $3 FOR UPDATE)
UPDATE cards c SET state = $3, sealed = NULL, data_key = $4, token = NULL, token_tag = 0, last_four = 0
FROM was WHERE c.tenant = $1 AND c.id = $2
RETURNING CASE WHEN c.origin = $5 AND was.state <> $6 THEN c.range_number ELSE 0 END`

const deleteTokensOfCard = `
DELETE FROM tokens WHERE tenant = $1 AND card = $2`

// DeleteCard implements vault.Tx.
func (t *tx) DeleteCard(ctx context.Context, tenant string, card uuid.UUID) (bool, error) {
	number, err := t.tenant(ctx, tenant)
	if err != nil {
		return false, err
	}
	was, err := t.change(ctx, 1, deleteCard, number, [16]byte(card),
		int16(vault.CardDeleted), [16]byte{}, int16(vault.Issued), int16(vault.CardClosed))
	if err != nil || !was {
		return false, err
	}
	_, err = t.exec(ctx, deleteTokensOfCard, number, [16]byte(card))
	return err == nil, err
}

func pointers(rows []vault.CardRow) []*vault.CardRow {
	cards := make([]*vault.CardRow, len(rows))
	for i := range rows {
		cards[i] = &rows[i]
	}
	return cards
}
