package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/vault"
)

const selectCards = `SELECT ` + cardColumns + ` FROM cards c LEFT JOIN bin_ranges r ON r.number = c.range_number `

const cardColumns = `
	c.id, c.fingerprint, c.data_key, c.sealed, c.token, c.token_tag, c.state, c.origin, c.expiry, c.last_four,
	c.range_number, coalesce(r.name, ''), c.created`

func scanCard(r *row) (vault.CardRow, error) {
	return vault.CardRow{
		ID: r.uuid(), Fingerprint: r.uuid(), Key: r.uuid(), Sealed: r.bytes(),
		StandingToken: r.uuid(), StandingTag: r.int(),
		State: vault.CardState(r.int16()), Origin: vault.Origin(r.int16()), Expiry: vault.Expiry(r.int16()),
		LastFour: r.int16(), RangeNumber: r.int32(), BINRange: r.text(), Created: r.time(),
	}, nil
}

// Card implements vault.Store.
func (s *Store) Card(ctx context.Context, tenant string, id uuid.UUID) (vault.CardRow, error) {
	number, err := s.tenant(ctx, tenant)
	if err != nil {
		return vault.CardRow{}, err
	}
	return only(read(ctx, s, scanCard, selectCards+`WHERE c.tenant = ? AND c.id = ?`, number, id[:]))
}

// ListCards implements vault.Store.
func (s *Store) ListCards(ctx context.Context, tenant string, after uuid.UUID, limit int) ([]vault.CardRow, error) {
	number, err := s.tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return read(ctx, s, scanCard, selectCards+`WHERE c.tenant = ? AND c.id > ? AND c.state <> ? ORDER BY c.id LIMIT ?`,
		number, after[:], vault.CardDeleted, limit)
}

// InsertCards implements vault.Tx.
func (t *tx) InsertCards(_ context.Context, tenant string, rows []vault.CardRow) ([]vault.CardRow, error) {
	var taken []vault.CardRow
	for i := range rows {
		standing, err := t.insertCard(tenant, &rows[i])
		if err != nil {
			return nil, err
		}
		for _, card := range standing {
			if !slices.ContainsFunc(taken, func(c vault.CardRow) bool { return c.ID == card.ID }) {
				taken = append(taken, card)
			}
		}
	}
	return taken, nil
}

// insertCard adds a card, or returns the one with its fingerprint.
func (t *tx) insertCard(tenant string, c *vault.CardRow) ([]vault.CardRow, error) {
	number, err := t.tenant(tenant)
	if err != nil {
		return nil, err
	}
	n, err := t.exec(`
		INSERT INTO cards (tenant, id, fingerprint, data_key, sealed, token, token_tag, state, origin, expiry,
		                   last_four, range_number, created)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		number, c.ID[:], c.Fingerprint[:], c.Key[:], c.Sealed, nullable(c.StandingToken), c.StandingTag,
		c.State, c.Origin, c.Expiry, c.LastFour, c.RangeNumber, micros(c.Created))
	if err != nil || n == 1 {
		return nil, err
	}
	standing, err := collect(t.conn, scanCard, selectCards+`WHERE c.tenant = ? AND c.fingerprint = ?`, number, c.Fingerprint[:])
	if err == nil && len(standing) == 0 {
		err = fmt.Errorf("id or standing token of a new card: %w", vault.ErrTaken)
	}
	return standing, err
}

// cardChange is what decides on a range's Gone.
type cardChange struct {
	origin vault.Origin
	number int64
}

func scanChange(r *row) (cardChange, error) {
	return cardChange{origin: vault.Origin(r.int16()), number: r.int()}, nil
}

// change runs a statement that returns origin and range of the card it changed. Of
// an issued card it adds n to the range's Gone. It reports whether there was one.
func (t *tx) change(n int64, sql string, args ...any) (bool, error) {
	card, err := only(collect(t.conn, scanChange, sql+` RETURNING origin, range_number`, args...))
	if errors.Is(err, vault.ErrNoRow) {
		return false, nil
	}
	if err == nil && card.origin == vault.Issued {
		err = t.addGone(card.number, n)
	}
	return err == nil, err
}

// ReviveCard implements vault.Tx.
func (t *tx) ReviveCard(_ context.Context, tenant string, c vault.CardRow) (bool, error) {
	number, err := t.tenant(tenant)
	if err != nil {
		return false, err
	}
	return t.change(-1, `
		UPDATE cards SET state = ?, data_key = ?, sealed = ?, token = ?, token_tag = ?, expiry = ?, last_four = ?, created = ?
		WHERE tenant = ? AND id = ? AND state = ?`,
		vault.CardActive, c.Key[:], c.Sealed, nullable(c.StandingToken), c.StandingTag, c.Expiry, c.LastFour, micros(c.Created),
		number, c.ID[:], vault.CardDeleted)
}

// SetStandingToken implements vault.Tx.
func (t *tx) SetStandingToken(_ context.Context, tenant string, card uuid.UUID, token tokenizer.ID, tag int64) (vault.CardRow, error) {
	number, err := t.tenant(tenant)
	if err != nil {
		return vault.CardRow{}, err
	}
	_, err = t.exec(`UPDATE cards SET token = ?, token_tag = ? WHERE tenant = ? AND id = ? AND token IS NULL AND state <> ?`,
		token[:], tag, number, card[:], vault.CardDeleted)
	if err != nil {
		return vault.CardRow{}, err
	}
	return only(collect(t.conn, scanCard, selectCards+`WHERE c.tenant = ? AND c.id = ?`, number, card[:]))
}

// UpdateCard implements vault.Tx.
func (t *tx) UpdateCard(_ context.Context, tenant string, was, now vault.CardRow) (bool, error) {
	number, err := t.tenant(tenant)
	if err != nil {
		return false, err
	}
	var gone int64
	if was.State != vault.CardClosed && now.State == vault.CardClosed {
		gone = 1
	}
	return t.change(gone, `
		UPDATE cards SET state = ?, expiry = ? WHERE tenant = ? AND id = ? AND state = ? AND expiry = ? AND state <> ?`,
		now.State, now.Expiry, number, was.ID[:], was.State, was.Expiry, vault.CardDeleted)
}

// DeleteCard implements vault.Tx.
func (t *tx) DeleteCard(_ context.Context, tenant string, card uuid.UUID) (bool, error) {
	number, err := t.tenant(tenant)
	if err != nil {
		return false, err
	}
	state, err := only(collect(t.conn, scanInt32, `SELECT state FROM cards WHERE tenant = ? AND id = ? AND state <> ?`,
		number, card[:], vault.CardDeleted))
	if errors.Is(err, vault.ErrNoRow) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if _, err := t.exec(`DELETE FROM tokens WHERE tenant = ? AND card = ?`, number, card[:]); err != nil {
		return false, err
	}
	gone := int64(1)
	if state == int32(vault.CardClosed) {
		gone = 0
	}
	t.erased = true
	return t.change(gone, `
		UPDATE cards SET state = ?, sealed = NULL, data_key = ?, token = NULL, token_tag = 0, last_four = 0
		WHERE tenant = ? AND id = ?`, vault.CardDeleted, make([]byte, 16), number, card[:])
}
