package vault

import (
	"context"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/tokenizer/pan"
	"github.com/cardvault/cardvault/vault/access"
)

// DetokenizeRequest asks for the PANs of tokens, as much of them as View says, for
// one purpose.
type DetokenizeRequest struct {
	Tokens  []string
	Purpose string
	View    View
}

// DetokenizeResult is what the view shows of a token's card, or the Err of this
// one item.
type DetokenizeResult struct {
	CardID uuid.UUID
	Expiry Expiry
	// PAN is there with View Full alone.
	PAN pan.PAN
	// Shown is what the other views show.
	Shown   string
	Receipt Receipt
	Err     error
}

// DetokenizeCards opens cards. The PANs leave after the audit entries of all items
// are durable (P3). The error is of the whole call; each result has its own.
func (v *Vault) DetokenizeCards(ctx context.Context, c Caller, req DetokenizeRequest) ([]DetokenizeResult, error) {
	if err := v.checkBatch(ctx, c, access.DetokenizeCard, len(req.Tokens)); err != nil {
		return nil, err
	}
	if err := req.check(); err != nil {
		return nil, v.Refuse(ctx, c, access.DetokenizeCard, err)
	}
	g, err := v.guard(ctx, c, access.DetokenizeCard, about{purpose: req.Purpose, view: req.View})
	if err != nil {
		return nil, err
	}
	items := make([]*opening, len(req.Tokens))
	for i, text := range req.Tokens {
		items[i] = &opening{change: g.change()}
		items[i].token, items[i].err = parseToken("token", text)
	}
	if err := v.open(ctx, g, req.View, items); err != nil {
		return nil, err
	}
	return v.release(ctx, items, req.View)
}

// check names what is wrong with the call as a whole.
func (r DetokenizeRequest) check() *Error {
	if err := checkPurpose(r.Purpose); err != nil {
		return err
	}
	if r.View.String() == "" {
		return ErrView.In("view")
	}
	return nil
}

// opening is one token on its way to its PAN.
type opening struct {
	change *change
	token  tokenizer.ID
	row    TokenRow
	pan    pan.PAN
	// err is why it is not opened; a refusal is recorded.
	err error
}

// open reads the tokens' rows in one query and opens those that the caller may
// open now.
func (v *Vault) open(ctx context.Context, g grant, view View, items []*opening) error {
	rows, err := v.tokenRows(ctx, g.caller.Tenant, items)
	if err != nil {
		return err
	}
	opener := v.opener(g.caller.Tenant)
	for _, item := range items {
		if item.err == nil {
			item.row = rows[item.token]
			item.err = item.row.usable(g.caller, v.now(), view)
		}
		if item.err == nil {
			item.pan, item.err = opener.token(ctx, item.row)
		}
		if err := item.change.reject(item.err); err != nil {
			return err
		}
		item.change.card = item.row.Card
		if item.row.SingleUse {
			item.change.use = &item.token
		}
	}
	return nil
}

// tokenRows reads the rows of the items' tokens.
func (v *Vault) tokenRows(ctx context.Context, tenant string, items []*opening) (map[tokenizer.ID]TokenRow, error) {
	var wanted []tokenizer.ID
	for _, item := range items {
		if item.err == nil {
			wanted = append(wanted, item.token)
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	rows, err := v.store.CardsByToken(ctx, tenant, wanted)
	if err != nil {
		return nil, v.storeError(ctx, err)
	}
	byToken := make(map[tokenizer.ID]TokenRow, len(rows))
	for _, row := range rows {
		byToken[row.Token] = row
	}
	return byToken, nil
}

// release records the items and only then lets the PANs go.
func (v *Vault) release(ctx context.Context, items []*opening, view View) ([]DetokenizeResult, error) {
	changes := make([]*change, len(items))
	for i, item := range items {
		changes[i] = item.change
	}
	if err := v.journal.commit(ctx, changes...); err != nil {
		return nil, err
	}
	results := make([]DetokenizeResult, len(items))
	for i, item := range items {
		results[i] = item.result(view)
	}
	return results, nil
}

// result shows of a recorded item what the view allows.
func (o *opening) result(view View) DetokenizeResult {
	receipt, err := o.change.outcome()
	if err != nil {
		return DetokenizeResult{Receipt: receipt, Err: err}
	}
	r := DetokenizeResult{CardID: o.row.Card.ID, Expiry: o.row.Card.Expiry, Receipt: receipt}
	switch view {
	case Full:
		r.PAN = o.pan
	case Masked:
		r.Shown = o.pan.Masked()
	case LastFour:
		r.Shown = o.pan.LastFour()
	}
	return r
}
