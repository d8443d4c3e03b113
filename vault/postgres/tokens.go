package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/vault"
)

const (
	standingColumns = `
SELECT c.token, c.token_tag, true, false, 0::int8, false, 0::int8, '', c.created, ` + cardColumns
	extraColumns = `
SELECT t.token, t.tag, false, t.keep_last_four, t.expires, t.single_use, t.used_at, t.principals, t.created, ` + cardColumns
)

// tokenScan is a token on its way out of its columns.
type tokenScan struct {
	token                  vault.TokenRow
	expires, used, created int64
	principals             string
	card                   cardScan
}

func (s *tokenScan) row() (vault.TokenRow, error) {
	token := s.token
	token.Card = s.card.row()
	token.Expires, token.UsedAt, token.Created = at(s.expires), at(s.used), at(s.created)
	if s.principals == "" {
		return token, nil
	}
	err := json.Unmarshal([]byte(s.principals), &token.Principals)
	return token, err
}

// scanTokens scans one token after the other; only what a token keeps is allocated.
func scanTokens() pgx.RowToFunc[vault.TokenRow] {
	var s tokenScan
	targets := append([]any{
		(*[16]byte)(&s.token.Token), &s.token.Tag, &s.token.Standing, &s.token.KeepLastFour, &s.expires,
		&s.token.SingleUse, &s.used, &s.principals, &s.created,
	}, s.card.targets()...)
	return func(row pgx.CollectableRow) (vault.TokenRow, error) {
		if err := row.Scan(targets...); err != nil {
			return vault.TokenRow{}, err
		}
		return s.row()
	}
}

const selectByToken = standingColumns + `
FROM unnest($2::uuid[]) AS w (token)
CROSS JOIN LATERAL (SELECT * FROM cards WHERE tenant = $1 AND token = w.token OFFSET 0) AS c
UNION ALL` + extraColumns + `
FROM unnest($2::uuid[]) AS w (token)
CROSS JOIN LATERAL (SELECT * FROM tokens WHERE tenant = $1 AND token = w.token OFFSET 0) AS t
CROSS JOIN LATERAL (SELECT * FROM cards WHERE tenant = $1 AND id = t.card OFFSET 0) AS c`

// CardsByToken implements vault.Store.
func (s *Store) CardsByToken(ctx context.Context, tenant string, tokens []tokenizer.ID) ([]vault.TokenRow, error) {
	return s.tokens(ctx, tenant, selectByToken, uuids(tokens))
}

const selectTokens = standingColumns + `
FROM cards c WHERE c.tenant = $1 AND c.id = $2 AND c.token IS NOT NULL
UNION ALL` + extraColumns + `
FROM tokens t CROSS JOIN LATERAL (SELECT * FROM cards WHERE tenant = $1 AND id = $2 OFFSET 0) AS c
WHERE t.tenant = $1 AND t.card = $2
ORDER BY 3 DESC, 9, 1`

// ListTokens implements vault.Store.
func (s *Store) ListTokens(ctx context.Context, tenant string, card uuid.UUID) ([]vault.TokenRow, error) {
	return s.tokens(ctx, tenant, selectTokens, [16]byte(card))
}

func (s *Store) tokens(ctx context.Context, tenant, sql string, arg any) ([]vault.TokenRow, error) {
	number, err := s.tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	rows, err := run(ctx, s, scanTokens(), sql, number, arg)
	if err != nil {
		return nil, err
	}
	return rows, s.nameRanges(ctx, cardsOf(rows))
}

const selectPlainTokens = extraColumns + `
FROM unnest($2::uuid[]) AS w (card)
CROSS JOIN LATERAL (SELECT * FROM tokens WHERE tenant = $1 AND card = w.card OFFSET 0) AS t
CROSS JOIN LATERAL (SELECT * FROM cards WHERE tenant = $1 AND id = w.card OFFSET 0) AS c
WHERE t.expires = 0 AND NOT t.single_use AND t.principals = ''
ORDER BY t.created, t.token`

// PlainTokens implements vault.Tx.
func (t *tx) PlainTokens(ctx context.Context, tenant string, cards []uuid.UUID) ([]vault.TokenRow, error) {
	if len(cards) == 0 {
		return nil, nil
	}
	number, err := t.tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	rows, err := collect(ctx, t, scanTokens(), selectPlainTokens, number, uuids(cards))
	if err != nil {
		return nil, err
	}
	return rows, t.nameRanges(ctx, cardsOf(rows))
}

// The lock on the cards makes their deletion wait, so that none leaves a token
// behind. Others can add tokens to the same cards meanwhile.
const insertExtra = `
INSERT INTO tokens (tenant, used_at, created, tag, expires, keep_last_four, single_use, token, principals, card)
SELECT $1, 0, n.*
FROM unnest($2::int8[], $3::int8[], $4::int8[], $5::bool[], $6::bool[], $7::uuid[], $8::text[], $9::uuid[])
    AS n (created, tag, expires, keep_last_four, single_use, token, principals, card)
CROSS JOIN LATERAL (SELECT FROM cards WHERE tenant = $1 AND id = n.card AND state <> $10 OFFSET 0 FOR SHARE) AS live
WHERE NOT EXISTS (SELECT FROM cards WHERE tenant = $1 AND token = n.token OFFSET 0)
ON CONFLICT DO NOTHING RETURNING token`

const selectTaken = `
SELECT t.token FROM unnest($2::uuid[]) AS w (token)
CROSS JOIN LATERAL (SELECT token FROM tokens WHERE tenant = $1 AND token = w.token OFFSET 0) AS t
UNION
SELECT c.token FROM unnest($2::uuid[]) AS w (token)
CROSS JOIN LATERAL (SELECT token FROM cards WHERE tenant = $1 AND token = w.token OFFSET 0) AS c`

// InsertTokens implements vault.Tx.
func (t *tx) InsertTokens(ctx context.Context, tenant string, rows []vault.TokenRow) ([]tokenizer.ID, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	number, err := t.tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b vault.TokenRow) int { return slices.Compare(a.Card.ID[:], b.Card.ID[:]) })
	principals, err := encodePrincipals(rows)
	if err != nil {
		return nil, err
	}
	added, err := collect(ctx, t, scanUUID[tokenizer.ID], insertExtra, number,
		column(rows, func(r *vault.TokenRow) int64 { return micros(r.Created) }),
		column(rows, func(r *vault.TokenRow) int64 { return r.Tag }),
		column(rows, func(r *vault.TokenRow) int64 { return micros(r.Expires) }),
		column(rows, func(r *vault.TokenRow) bool { return r.KeepLastFour }),
		column(rows, func(r *vault.TokenRow) bool { return r.SingleUse }),
		column(rows, func(r *vault.TokenRow) [16]byte { return r.Token }),
		principals,
		column(rows, func(r *vault.TokenRow) [16]byte { return r.Card.ID }),
		int16(vault.CardDeleted),
	)
	if err != nil || len(added) == len(rows) {
		return nil, err
	}
	missing := slices.DeleteFunc(rows, func(r vault.TokenRow) bool { return slices.Contains(added, r.Token) })
	return collect(ctx, t, scanUUID[tokenizer.ID], selectTaken, number,
		column(missing, func(r *vault.TokenRow) [16]byte { return r.Token }))
}

func encodePrincipals(rows []vault.TokenRow) ([]string, error) {
	encoded := make([]string, len(rows))
	for i := range rows {
		if len(rows[i].Principals) == 0 {
			continue
		}
		text, err := json.Marshal(rows[i].Principals)
		if err != nil {
			return nil, err
		}
		encoded[i] = string(text)
	}
	return encoded, nil
}

const useOnce = `
UPDATE tokens SET used_at = $3 WHERE tenant = $1 AND token = $2 AND single_use AND used_at = 0`

// UseTokens implements vault.Tx.
func (t *tx) UseTokens(ctx context.Context, tenant string, tokens []tokenizer.ID, at time.Time) ([]tokenizer.ID, error) {
	if len(tokens) == 0 {
		return nil, nil
	}
	number, err := t.tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	tokens = slices.Clone(tokens)
	slices.SortFunc(tokens, func(a, b tokenizer.ID) int { return slices.Compare(a[:], b[:]) })
	changed, err := t.each(ctx, useOnce, len(tokens), func(i int) []any { return []any{number, [16]byte(tokens[i]), micros(at)} })
	var used []tokenizer.ID
	for i, n := range changed {
		if n == 1 {
			used = append(used, tokens[i])
		}
	}
	return used, err
}

const deleteToken = `
WITH standing AS (
    UPDATE cards SET token = NULL, token_tag = 0 WHERE tenant = $1 AND token = $2 RETURNING id
), extra AS (
    DELETE FROM tokens WHERE tenant = $1 AND token = $2 RETURNING card
)
SELECT id FROM standing UNION ALL SELECT card FROM extra`

// DeleteToken implements vault.Tx.
func (t *tx) DeleteToken(ctx context.Context, tenant string, token tokenizer.ID) (bool, error) {
	number, err := t.tenant(ctx, tenant)
	if err != nil {
		return false, err
	}
	cards, err := collect(ctx, t, scanUUID[uuid.UUID], deleteToken, number, [16]byte(token))
	return len(cards) > 0, err
}

func cardsOf(rows []vault.TokenRow) []*vault.CardRow {
	cards := make([]*vault.CardRow, len(rows))
	for i := range rows {
		cards[i] = &rows[i].Card
	}
	return cards
}
