package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault/access"
)

// card returns what may be shown of a row.
func (r CardRow) card() Card {
	return Card{
		ID: r.ID, State: r.State, Origin: r.Origin, Expiry: r.Expiry,
		LastFour: fmt.Sprintf("%04d", r.LastFour), BINRange: r.BINRange, Created: r.Created,
	}
}

// findCard makes the change about a card of its tenant; its entry names the card
// also where there is none. A deleted one answers like one that never was (P6).
func (v *Vault) findCard(ctx context.Context, ch *change, id uuid.UUID) error {
	ch.card.ID = id
	row, err := v.liveCard(ctx, ch.tenant, id)
	if err == nil {
		ch.card = row
	}
	return err
}

// liveCard returns a card of the tenant that is not deleted.
func (v *Vault) liveCard(ctx context.Context, tenant string, id uuid.UUID) (CardRow, error) {
	row, err := v.store.Card(ctx, tenant, id)
	if errors.Is(err, ErrNoRow) || err == nil && row.State == CardDeleted {
		return CardRow{}, ErrCardNotFound
	}
	if err != nil {
		return CardRow{}, v.storeError(ctx, err)
	}
	return row, nil
}

// goneIfNoRow turns a row that is not there into the refusal.
func goneIfNoRow(err error) error {
	if errors.Is(err, ErrNoRow) {
		return ErrCardNotFound
	}
	return err
}

// GetCard returns a card.
func (v *Vault) GetCard(ctx context.Context, c Caller, id string) (Card, Receipt, error) {
	g, err := v.guard(ctx, c, access.GetCard, about{})
	if err != nil {
		return Card{}, Receipt{}, err
	}
	ch := g.change()
	parsed, err := parseID("id", id, ErrCardID)
	if err == nil {
		err = v.findCard(ctx, ch, parsed)
	}
	receipt, err := v.finish(ctx, ch, err)
	if err != nil {
		return Card{}, receipt, err
	}
	return ch.card.card(), receipt, nil
}

const defaultPage = 100

// pageSize reads how many items a page may have; 0 means defaultPage.
func pageSize(n int) (int, error) {
	switch {
	case n == 0:
		return defaultPage, nil
	case n < 0 || n > maxBatch:
		return 0, ErrPageSize.In("page_size")
	}
	return n, nil
}

// ListCards returns a page of the tenant's cards in order of id, and the token of
// the next page, empty on the last.
func (v *Vault) ListCards(ctx context.Context, c Caller, size int, after string) ([]Card, string, Receipt, error) {
	g, err := v.guard(ctx, c, access.ListCards, about{})
	if err != nil {
		return nil, "", Receipt{}, err
	}
	ch := g.change()
	cards, next, err := v.cardPage(ctx, ch.tenant, size, after)
	ch.entry.Count = len(cards)
	receipt, err := v.finish(ctx, ch, err)
	if err != nil {
		return nil, "", receipt, err
	}
	return cards, next, receipt, nil
}

// cardPage reads a page and one card more, which tells whether there is another.
func (v *Vault) cardPage(ctx context.Context, tenant string, size int, token string) ([]Card, string, error) {
	size, err := pageSize(size)
	if err != nil {
		return nil, "", err
	}
	var after uuid.UUID
	if token != "" {
		if after, err = parseID("page_token", token, ErrPageToken); err != nil {
			return nil, "", err
		}
	}
	rows, err := v.store.ListCards(ctx, tenant, after, size+1)
	if err != nil {
		return nil, "", v.storeError(ctx, err)
	}
	next := ""
	if len(rows) > size {
		rows = rows[:size]
		next = rows[size-1].ID.String()
	}
	cards := make([]Card, len(rows))
	for i, row := range rows {
		cards[i] = row.card()
	}
	return cards, next, nil
}
