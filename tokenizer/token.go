// Package tokenizer makes and reads tokens: what every system but the vault holds in place of a card number. A token
// is random. Nothing about it is computed from the PAN, except the last four digits if the caller wants them kept, so
// without the vault's store it leads to no card.
//
// There are two formats, both kept in a store as an [ID] of 16 bytes:
//
//   - [Opaque], the default: 128 random bits, written as tok_ and 25 letters and digits (opaque.go).
//   - [Digits], for systems that take nothing but a number as long as a card's (digits.go).
//
// A token is never a valid PAN: opaque ones begin with letters, digit ones fail the Luhn check. Each token has exactly
// one text, and [Parse] takes no other. Errors never repeat what they refuse, which may be a PAN that a caller put where
// a token belongs; [Screen] finds such PANs, and track data, in any text.
//
// The package does no I/O and holds no keys. Its randomness is crypto/rand's.
package tokenizer

import (
	"errors"
	"strings"
)

// What Parse refuses.
var (
	// ErrMalformed is returned if the text is no token of any format: a wrong character or length, a typing error that
	// the check characters show, or another spelling than the one that String writes.
	ErrMalformed = errors.New("tokenizer: token is malformed")
	// ErrLooksLikePAN is returned instead of ErrMalformed if the text is a PAN or has card data in it: its sender
	// leaks card numbers into a field for tokens.
	ErrLooksLikePAN = errors.New("tokenizer: token looks like a card number")
)

// Format is the kind of a token. The zero value is none.
type Format uint8

const (
	// Opaque tokens are tok_ and letters and digits.
	Opaque Format = iota + 1
	// Digits tokens are 12 to 19 digits that fail the Luhn check.
	Digits
)

// String returns "opaque", "digits" or "invalid".
func (f Format) String() string {
	switch f {
	case Opaque:
		return "opaque"
	case Digits:
		return "digits"
	}
	return "invalid"
}

// ID is a token as a store keeps it: 16 bytes, which fit a uuid column. IDs and texts of tokens are in one-to-one
// correspondence, across both formats:
//
//	Opaque   the 128 random bits, of which the first 56 are not all zero
//	Digits   56 zero bits ‖ length, 1 byte ‖ value of the digits, 8 bytes big-endian
type ID [16]byte

// Token is a token of either format. The zero value is none: it has no text and no format. Tokens are comparable.
type Token struct{ id ID }

// FromID returns the token with this ID, or the zero Token if it is no token's: which a store that holds only IDs of
// tokens never gives.
func FromID(id ID) Token {
	if id.format() == 0 {
		return Token{}
	}
	return Token{id}
}

// Parse returns the token that s spells. It returns ErrMalformed or ErrLooksLikePAN.
func Parse(s string) (Token, error) {
	parse := parseDigits
	if strings.HasPrefix(s, opaquePrefix) {
		parse = parseOpaque
	}
	t, err := parse(s)
	if errors.Is(err, ErrMalformed) && Screen(s) != nil {
		return Token{}, ErrLooksLikePAN
	}
	return t, err
}

// ID returns what a store keeps of the token.
func (t Token) ID() ID { return t.id }

// Format returns the token's format, or 0 for the zero Token.
func (t Token) Format() Format { return t.id.format() }

// String returns the token's text, or "" for the zero Token.
func (t Token) String() string {
	switch t.Format() {
	case Opaque:
		return t.id.opaqueText()
	case Digits:
		return t.id.digitsText()
	}
	return ""
}

// format returns the format of the token with this ID, or 0 if it is none's.
func (id ID) format() Format {
	switch {
	case !id.marked():
		return Opaque
	case id.isDigits():
		return Digits
	}
	return 0
}

// marked reports whether the first 56 bits are zero, the mark of the Digits format.
func (id ID) marked() bool { return [digitsMark]byte(id[:digitsMark]) == [digitsMark]byte{} }
