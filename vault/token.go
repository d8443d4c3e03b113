package vault

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/crypto/fingerprint"
	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/tokenizer/pan"
)

// TokenFormat is what a token looks like. The zero format is opaque.
type TokenFormat int

// The formats of a token.
const (
	OpaqueToken TokenFormat = iota
	DigitToken
)

// TokenOptions say what a token looks like and how it may be used. The zero value
// is the card's standing token.
type TokenOptions struct {
	Format TokenFormat
	// KeepLastFour: a digit token ends in the PAN's last four.
	KeepLastFour bool
	// TTL is how long the token works; 0: until it is revoked.
	TTL       time.Duration
	SingleUse bool
	// Principals that alone may use it, by name; empty: all that policy allows.
	Principals []string
}

// Token is a token of a card.
type Token struct {
	Token   string
	CardID  uuid.UUID
	Options TokenOptions
	Expires time.Time // zero: never
	Used    bool
	Created time.Time
}

const (
	minTTL        = time.Second
	maxTTL        = 10 * 365 * 24 * time.Hour
	maxPrincipals = 16
	maxPrincipal  = 63
)

// plain reports whether the token works for everyone until it is revoked.
func (o TokenOptions) plain() bool { return o.TTL == 0 && !o.SingleUse && len(o.Principals) == 0 }

// standing reports whether the options ask for the card's standing token.
func (o TokenOptions) standing() bool { return o.plain() && o.Format == OpaqueToken }

// check refuses options that make no token.
func (o TokenOptions) check(name string) error {
	digit := o.Format == DigitToken
	if o.Format != OpaqueToken && !digit || o.KeepLastFour && !digit ||
		o.TTL != 0 && (o.TTL < minTTL || o.TTL > maxTTL) || len(o.Principals) > maxPrincipals {
		return ErrTokenOptions.In(name)
	}
	for _, principal := range o.Principals {
		if len(principal) > maxPrincipal || !isName(principal, lowercase+digits+"-") {
			return field(name+".principals", principal, ErrTokenOptions)
		}
	}
	return nil
}

// drawer returns what draws tokens with these options for a card of this PAN.
func (o TokenOptions) drawer(key *fingerprint.Key, tenant string, p pan.PAN, now time.Time) func(CardRow) (TokenRow, error) {
	return func(card CardRow) (TokenRow, error) {
		t := TokenRow{
			Card: card, KeepLastFour: o.KeepLastFour, SingleUse: o.SingleUse,
			Principals: o.Principals, Created: now,
		}
		if o.TTL != 0 {
			t.Expires = now.Add(o.TTL).Truncate(time.Microsecond) // as stored: the tag covers it
		}
		var err error
		if t.Token, err = o.draw(p); err != nil {
			return TokenRow{}, err
		}
		t.Tag = tokenTag(key, tenant, t)
		return t, nil
	}
}

func (o TokenOptions) draw(p pan.PAN) (tokenizer.ID, error) {
	if o.Format == OpaqueToken {
		return tokenizer.NewOpaque().ID(), nil
	}
	t, err := tokenizer.NewDigits(p, o.KeepLastFour)
	return t.ID(), err
}

// usable returns why the caller may not use the token now, or nil. A row that is not
// there, whose card is deleted, that has expired, or that belongs to other
// principals answers like one that never was (P6).
func (t TokenRow) usable(c Caller, now time.Time, view View) error {
	expired := !t.Expires.IsZero() && !now.Before(t.Expires)
	foreign := len(t.Principals) > 0 && !slices.Contains(t.Principals, c.Name)
	switch {
	case t.Card.ID == uuid.Nil, t.Card.State == CardDeleted, expired, foreign:
		return ErrTokenNotFound
	case !t.UsedAt.IsZero():
		return ErrTokenUsed
	case t.Card.State == CardActive, view != Full && t.Card.State != 0:
		return nil
	case t.Card.State == CardSuspended:
		return ErrCardSuspended
	default:
		return ErrCardClosed
	}
}

// parseToken reads a token's text.
func parseToken(name, text string) (tokenizer.ID, error) {
	t, err := tokenizer.Parse(text)
	if err != nil {
		return tokenizer.ID{}, field(name, text, ErrTokenMalformed)
	}
	return t.ID(), nil
}

// tokenText writes a stored token.
func tokenText(id tokenizer.ID) string { return tokenizer.FromID(id).String() }

// token returns what may be shown of a row.
func (t TokenRow) token() Token {
	options := TokenOptions{KeepLastFour: t.KeepLastFour, SingleUse: t.SingleUse, Principals: t.Principals}
	if tokenizer.FromID(t.Token).Format() == tokenizer.Digits {
		options.Format = DigitToken
	}
	if !t.Expires.IsZero() {
		options.TTL = t.Expires.Sub(t.Created)
	}
	return Token{
		Token: tokenText(t.Token), CardID: t.Card.ID, Options: options,
		Expires: t.Expires, Used: !t.UsedAt.IsZero(), Created: t.Created,
	}
}
