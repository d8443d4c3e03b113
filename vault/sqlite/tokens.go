package sqlite

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"
	"zombiezen.com/go/sqlite"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/vault"
)

const (
	standingTokens = `
SELECT c.token, c.token_tag, 1, 0, 0, 0, 0, '', c.created, ` + cardColumns + `
FROM cards c LEFT JOIN bin_ranges r ON r.number = c.range_number `
	extraTokens = `
SELECT t.token, t.tag, 0, t.keep_last_four, t.expires, t.single_use, t.used_at, t.principals, t.created, ` + cardColumns + `
FROM tokens t JOIN cards c ON c.tenant = t.tenant AND c.id = t.card LEFT JOIN bin_ranges r ON r.number = c.range_number `
)

func scanToken(r *row) (vault.TokenRow, error) {
	token := vault.TokenRow{
		Token: r.uuid(), Tag: r.int(), Standing: r.bool(), KeepLastFour: r.bool(), Expires: r.time(),
		SingleUse: r.bool(), UsedAt: r.time(),
	}
	var err error
	if principals := r.text(); principals != "" {
		err = json.Unmarshal([]byte(principals), &token.Principals)
	}
	token.Created = r.time()
	if err == nil {
		token.Card, err = scanCard(r)
	}
	return token, err
}

// CardsByToken implements vault.Store.
func (s *Store) CardsByToken(ctx context.Context, tenant string, tokens []tokenizer.ID) ([]vault.TokenRow, error) {
	number, err := s.tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var all []vault.TokenRow
	err = s.reading(ctx, func(conn *sqlite.Conn) error {
		for _, token := range tokens {
			rows, err := collect(conn, scanToken,
				standingTokens+`WHERE c.tenant = ?1 AND c.token = ?2 UNION ALL`+
					extraTokens+`WHERE t.tenant = ?1 AND t.token = ?2`, number, token[:])
			if err != nil {
				return err
			}
			all = append(all, rows...)
		}
		return nil
	})
	return all, err
}

// ListTokens implements vault.Store.
func (s *Store) ListTokens(ctx context.Context, tenant string, card uuid.UUID) ([]vault.TokenRow, error) {
	number, err := s.tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return read(ctx, s, scanToken,
		standingTokens+`WHERE c.tenant = ?1 AND c.id = ?2 AND c.token IS NOT NULL UNION ALL`+
			extraTokens+`WHERE t.tenant = ?1 AND t.card = ?2 ORDER BY 3 DESC, 9, 1`, number, card[:])
}

// PlainTokens implements vault.Tx.
func (t *tx) PlainTokens(_ context.Context, tenant string, cards []uuid.UUID) ([]vault.TokenRow, error) {
	var all []vault.TokenRow
	for _, card := range cards {
		number, err := t.tenant(tenant)
		if err != nil {
			return nil, err
		}
		rows, err := collect(t.conn, scanToken, extraTokens+`
			WHERE t.tenant = ? AND t.card = ? AND t.expires = 0 AND NOT t.single_use AND t.principals = ''`, number, card[:])
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	slices.SortFunc(all, func(a, b vault.TokenRow) int {
		if before := a.Created.Compare(b.Created); before != 0 {
			return before
		}
		return slices.Compare(a.Token[:], b.Token[:])
	})
	return all, nil
}

// InsertTokens implements vault.Tx.
func (t *tx) InsertTokens(_ context.Context, tenant string, rows []vault.TokenRow) ([]tokenizer.ID, error) {
	var taken []tokenizer.ID
	for i := range rows {
		added, err := t.insertToken(tenant, &rows[i])
		if err != nil {
			return nil, err
		}
		if !added {
			taken = append(taken, rows[i].Token)
		}
	}
	return taken, nil
}

func (t *tx) insertToken(tenant string, r *vault.TokenRow) (bool, error) {
	number, err := t.tenant(tenant)
	if err != nil {
		return false, err
	}
	live, err := collect(t.conn, scanInt, `SELECT 1 FROM cards WHERE tenant = ? AND id = ? AND state <> ?`,
		number, r.Card.ID[:], vault.CardDeleted)
	if err != nil || len(live) == 0 {
		return err == nil, err
	}
	var principals []byte
	if len(r.Principals) > 0 {
		if principals, err = json.Marshal(r.Principals); err != nil {
			return false, err
		}
	}
	n, err := t.exec(`
		INSERT INTO tokens (tenant, token, tag, card, keep_last_four, expires, single_use, used_at, principals, created)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9
		WHERE NOT EXISTS (SELECT 1 FROM cards WHERE tenant = ?1 AND token = ?2)
		ON CONFLICT DO NOTHING`,
		number, r.Token[:], r.Tag, r.Card.ID[:], r.KeepLastFour, micros(r.Expires), r.SingleUse, string(principals), micros(r.Created))
	return n == 1, err
}

// UseTokens implements vault.Tx.
func (t *tx) UseTokens(_ context.Context, tenant string, tokens []tokenizer.ID, at time.Time) ([]tokenizer.ID, error) {
	var used []tokenizer.ID
	for _, token := range tokens {
		number, err := t.tenant(tenant)
		if err != nil {
			return nil, err
		}
		n, err := t.exec(`UPDATE tokens SET used_at = ? WHERE tenant = ? AND token = ? AND single_use AND used_at = 0`,
			micros(at), number, token[:])
		if err != nil {
			return nil, err
		}
		if n == 1 {
			used = append(used, token)
		}
	}
	return used, nil
}

// DeleteToken implements vault.Tx.
func (t *tx) DeleteToken(_ context.Context, tenant string, token tokenizer.ID) (bool, error) {
	number, err := t.tenant(tenant)
	if err != nil {
		return false, err
	}
	for _, sql := range []string{
		`UPDATE cards SET token = NULL, token_tag = 0 WHERE tenant = ? AND token = ?`,
		`DELETE FROM tokens WHERE tenant = ? AND token = ?`,
	} {
		n, err := t.exec(sql, number, token[:])
		if err != nil || n > 0 {
			return err == nil, err
		}
	}
	return false, nil
}
