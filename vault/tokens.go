package vault

import (
	"context"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/tokenizer/pan"
	"github.com/cardvault/cardvault/vault/access"
)

// CreateToken makes a further token for a card. With zero options it returns the
// standing token, and gives the card one where it has none.
func (v *Vault) CreateToken(ctx context.Context, c Caller, requestID, cardID string, o TokenOptions) (Token, Receipt, error) {
	g, err := v.guard(ctx, c, access.CreateToken, about{})
	if err != nil {
		return Token{}, Receipt{}, err
	}
	ch := g.change()
	receipt, err := v.finish(ctx, ch, v.planToken(ctx, ch, g, requestID, cardID, o))
	if err != nil {
		return Token{}, receipt, err
	}
	rows, err := v.store.CardsByToken(ctx, c.Tenant, []tokenizer.ID{ch.out.token})
	if err != nil {
		return Token{}, receipt, v.storeError(ctx, err)
	}
	if len(rows) == 0 {
		return Token{}, receipt, ErrTokenNotFound
	}
	return rows[0].token(), receipt, nil
}

// planToken makes the change give a card a token, or returns why it cannot.
func (v *Vault) planToken(ctx context.Context, ch *change, g grant, requestID, cardID string, o TokenOptions) error {
	id, err := parseID("card_id", cardID, ErrCardID)
	if err != nil {
		return err
	}
	if err := ch.repeatable(requestID, g, v.now(), id[:], o.bytes()); err != nil {
		return err
	}
	if err := o.check("options"); err != nil {
		return err
	}
	if err := v.findCard(ctx, ch, id); err != nil {
		return err
	}
	if !o.standing() {
		ch.draw, err = v.drawerFor(ctx, ch.tenant, ch.card, o)
		return err
	}
	fp, err := v.fingerprintKey(ctx, ch.tenant)
	if err != nil {
		return err
	}
	ch.apply = func(ctx context.Context, tx Tx, c *change) error {
		token := tokenizer.NewOpaque().ID()
		row, err := tx.SetStandingToken(ctx, c.tenant, id, token, standingTag(fp, c.tenant, c.card, token))
		if err != nil {
			return goneIfNoRow(err)
		}
		c.out.card, c.out.token = row, row.StandingToken
		return nil
	}
	return nil
}

// drawerFor returns what draws tokens for a card that is there. It opens the card
// where a token is made after the PAN.
func (v *Vault) drawerFor(ctx context.Context, tenant string, row CardRow, o TokenOptions) (func(CardRow) (TokenRow, error), error) {
	opener := v.opener(tenant)
	fp, err := opener.fingerprintKey(ctx)
	if err != nil {
		return nil, err
	}
	var p pan.PAN
	if o.Format == DigitToken {
		if p, err = opener.card(ctx, row); err != nil {
			return nil, err
		}
	}
	return o.drawer(fp, tenant, p, v.now()), nil
}

// ListTokens returns the tokens of a card, the standing one first.
func (v *Vault) ListTokens(ctx context.Context, c Caller, cardID string) ([]Token, Receipt, error) {
	g, err := v.guard(ctx, c, access.ListTokens, about{})
	if err != nil {
		return nil, Receipt{}, err
	}
	ch := g.change()
	tokens, err := v.tokensOf(ctx, ch, cardID)
	ch.entry.Count = len(tokens)
	receipt, err := v.finish(ctx, ch, err)
	if err != nil {
		return nil, receipt, err
	}
	return tokens, receipt, nil
}

func (v *Vault) tokensOf(ctx context.Context, ch *change, cardID string) ([]Token, error) {
	id, err := parseID("card_id", cardID, ErrCardID)
	if err != nil {
		return nil, err
	}
	if err := v.findCard(ctx, ch, id); err != nil {
		return nil, err
	}
	rows, err := v.store.ListTokens(ctx, ch.tenant, id)
	if err != nil {
		return nil, v.storeError(ctx, err)
	}
	tokens := make([]Token, len(rows))
	for i, row := range rows {
		tokens[i] = row.token()
	}
	return tokens, nil
}

// RevokeToken ends a token at once, on every replica.
func (v *Vault) RevokeToken(ctx context.Context, c Caller, requestID, token string) (Receipt, error) {
	g, err := v.guard(ctx, c, access.RevokeToken, about{})
	if err != nil {
		return Receipt{}, err
	}
	ch := g.change()
	return v.finish(ctx, ch, v.planRevoke(ctx, ch, g, requestID, token))
}

// planRevoke makes the change end a token, or returns why it cannot.
func (v *Vault) planRevoke(ctx context.Context, ch *change, g grant, requestID, text string) error {
	token, err := parseToken("token", text)
	if err != nil {
		return err
	}
	if err := ch.repeatable(requestID, g, v.now(), token[:]); err != nil {
		return err
	}
	rows, err := v.store.CardsByToken(ctx, ch.tenant, []tokenizer.ID{token})
	if err != nil {
		return v.storeError(ctx, err)
	}
	if len(rows) > 0 {
		ch.card = rows[0].Card // for the entry
	}
	ch.apply = func(ctx context.Context, tx Tx, c *change) error {
		ok, err := tx.DeleteToken(ctx, c.tenant, token)
		if err == nil && !ok {
			err = ErrTokenNotFound
		}
		return err
	}
	return nil
}
