package vault

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/crypto/secret"
	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/tokenizer/pan"
	"github.com/cardvault/cardvault/vault/access"
)

// TokenizeRequest hands a PAN in.
type TokenizeRequest struct {
	// RequestID makes the request repeatable; empty: it is not.
	RequestID string
	PAN       secret.Bytes
	Expiry    *Month
	Token     TokenOptions
}

// TokenizeResult is the PAN's card with its token, or the Err of this one item.
type TokenizeResult struct {
	Card     Card
	Token    string
	Existing bool // the card stood there before
	Receipt  Receipt
	Err      error
}

// TokenizeCards keeps PANs that come from elsewhere, all in one commit. A PAN that
// the tenant has already gives the same card, with the expiry it has there, and
// without options the same token. The error is of the whole call; each result has
// its own.
func (v *Vault) TokenizeCards(ctx context.Context, c Caller, reqs []TokenizeRequest) ([]TokenizeResult, error) {
	if err := v.checkBatch(ctx, c, access.TokenizeCard, len(reqs)); err != nil {
		return nil, err
	}
	g, err := v.guard(ctx, c, access.TokenizeCard, about{})
	if err != nil {
		return nil, err
	}
	keys, keyErr := v.cardKeys(ctx, c.Tenant, len(reqs))
	changes := make([]*change, len(reqs))
	for i, req := range reqs {
		changes[i] = g.change()
		err := keyErr
		if err == nil {
			err = planTokenize(changes[i], g, keys, req, v.now())
		}
		if err := changes[i].reject(err); err != nil {
			return nil, err
		}
	}
	if err := v.journal.commit(ctx, changes...); err != nil {
		return nil, err
	}
	results := make([]TokenizeResult, len(reqs))
	for i, change := range changes {
		results[i] = v.tokenized(ctx, change)
	}
	return results, nil
}

// planTokenize makes the change keep a PAN, or returns why it cannot.
func planTokenize(c *change, g grant, keys cardKeys, req TokenizeRequest, now time.Time) error {
	p, err := parsePAN(req.PAN)
	if err != nil {
		return err
	}
	fp := fingerprintOf(keys.fingerprint, p)
	if err := c.repeatable(req.RequestID, g, now, fp[:], req.Expiry.bytes(), req.Token.bytes()); err != nil {
		return err
	}
	if req.Expiry == nil {
		return ErrExpiry.In("expiry")
	}
	expiry, err := NewExpiry(req.Expiry.Year, req.Expiry.Month)
	if err != nil {
		return ErrExpiry.In("expiry")
	}
	if err := req.Token.check("token"); err != nil {
		return err
	}
	return keep{p, fp, expiry, req.Token, keys, now}.plan(c)
}

// keep is a checked PAN with all that its card is made of.
type keep struct {
	pan         pan.PAN
	fingerprint uuid.UUID
	expiry      Expiry
	options     TokenOptions
	keys        cardKeys
	now         time.Time
}

func (k keep) plan(c *change) error {
	t := &tokenizing{plain: k.options.plain(), keepLastFour: k.options.KeepLastFour}
	if k.options.standing() {
		t.wanted = tokenizer.NewOpaque().ID()
	} else {
		t.draw = k.options.drawer(k.keys.fingerprint, c.tenant, k.pan, k.now)
	}
	t.tag = func(token TokenRow) int64 { return tokenTag(k.keys.fingerprint, c.tenant, token) }
	var err error
	if t.fresh, err = k.seal(c.tenant, uuid.New(), t); err != nil {
		return err
	}
	again := t.fresh
	t.reseal = func(id uuid.UUID) (CardRow, error) {
		var err error
		if again.ID != id { // a commit that is repeated seals nothing again
			again, err = k.seal(c.tenant, id, t)
		}
		return again, err
	}
	if c.request != nil {
		c.request.Card, c.request.Token = t.fresh.ID, t.fresh.StandingToken
	}
	c.tokenize = t
	return nil
}

// seal makes the row of a card with this id.
func (k keep) seal(tenant string, id uuid.UUID, t *tokenizing) (CardRow, error) {
	row, err := sealPAN(k.keys.data, tenant, id, k.pan)
	if err != nil {
		return CardRow{}, err
	}
	row.Fingerprint, row.Origin, row.Expiry, row.Created = k.fingerprint, Tokenized, k.expiry, k.now
	if t.draw == nil {
		row.StandingToken, row.StandingTag = t.wanted, t.standingTag(row, t.wanted)
	}
	return row, nil
}

// parsePAN reads a PAN and names what is wrong with one, without repeating it.
func parsePAN(text secret.Bytes) (pan.PAN, error) {
	p, err := pan.Parse(string(text.Reveal()))
	switch {
	case err == nil:
		return p, nil
	case errors.Is(tokenizer.Screen(string(text.Reveal())), tokenizer.ErrTrackData):
		return pan.PAN{}, ErrTrackData.In("pan")
	case looksLikeVerificationCode(string(text.Reveal())):
		return pan.PAN{}, ErrVerificationCode.In("pan")
	case errors.Is(err, pan.ErrLength):
		return pan.PAN{}, ErrPANLength.In("pan")
	case errors.Is(err, pan.ErrDigit):
		return pan.PAN{}, ErrPANDigit.In("pan")
	default:
		return pan.PAN{}, ErrPANCheckDigit.In("pan")
	}
}

// tokenized turns a committed change into its answer.
func (v *Vault) tokenized(ctx context.Context, c *change) TokenizeResult {
	if c.out.altered {
		_ = v.corrupt(ctx, c.tenant, c.out.card.ID, errTokenTag) // which is how the change was refused
	}
	card, receipt, err := v.cardOf(ctx, c)
	if err != nil {
		return TokenizeResult{Receipt: receipt, Err: err}
	}
	return TokenizeResult{Card: card, Token: tokenText(c.out.token), Existing: c.out.existing, Receipt: receipt}
}
