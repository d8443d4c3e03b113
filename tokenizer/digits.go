package tokenizer

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"github.com/cardvault/cardvault/tokenizer/pan"
)

const (
	// digitsMark is the number of zero bytes with which the ID of every digits token begins.
	digitsMark = 7
	// lastFour is the number of values of the last four digits.
	lastFour = 10_000
)

// NewDigits returns a new token of as many digits as p has, for systems whose fields take nothing else. It never begins
// with 0, so that it keeps its length where it is taken for a number, and always fails the Luhn check, so that it is
// never a card's. Among the tokens that satisfy this, and end in p's last four digits if those are kept, each is as
// likely as another.
//
// That is fewer than opaque tokens have: 8.1·10^15 of 16 digits, 8.1·10^11 with the last four kept, and 8.1·10^7 of 12
// digits with the last four kept. Two draws may well coincide, so the caller draws again when a store has the token
// already, and no one may be let in for knowing a token.
//
// It returns pan.ErrLength for the zero PAN.
func NewDigits(p pan.PAN, keepLastFour bool) (Token, error) {
	if p.IsZero() {
		return Token{}, fmt.Errorf("tokenizer: digits token for no PAN: %w", pan.ErrLength)
	}
	scale, kept := uint64(1), uint64(0)
	if keepLastFour {
		scale, kept = lastFour, p.Number()%lastFour
	}
	low := pow10(p.Len()-1) / scale // the smallest number of the digits that are drawn; nine times as many do not begin with 0
	for {
		value := (low+uniform(9*low))*scale + kept
		// Nine draws of ten pass. Drawing again leaves the rest equally likely; correcting a digit would not.
		if !pan.LuhnValid(value) {
			return digitsToken(value, p.Len()), nil
		}
	}
}

// uniform returns a random number below n, each as likely as another. What is at or beyond the largest multiple of n is
// drawn again, since its remainder would favour the low numbers.
func uniform(n uint64) uint64 {
	multiple := math.MaxUint64 / n * n
	for {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never returns an error
		if x := binary.BigEndian.Uint64(b[:]); x < multiple {
			return x % n
		}
	}
}

// digitsToken returns the token of so many digits with this value.
func digitsToken(value uint64, length int) Token {
	var id ID
	id[digitsMark] = byte(length) //nolint:gosec // of a PAN or of a text as long as one
	binary.BigEndian.PutUint64(id[digitsMark+1:], value)
	return Token{id}
}

// parseDigits returns the digits token that s spells, or ErrMalformed.
func parseDigits(s string) (Token, error) {
	if !allDigits(s) || len(s) < pan.MinLength || len(s) > pan.MaxLength {
		return Token{}, ErrMalformed
	}
	value := decimal(s)
	switch t := digitsToken(value, len(s)); {
	case pan.LuhnValid(value):
		return Token{}, ErrLooksLikePAN
	case !t.id.isDigits(): // begins with 0
		return Token{}, ErrMalformed
	default:
		return t, nil
	}
}

// digitsText returns the text of a digits token's ID.
func (id ID) digitsText() string {
	return strconv.FormatUint(binary.BigEndian.Uint64(id[digitsMark+1:]), 10)
}

// isDigits reports whether a marked ID is a digits token's: its value has exactly its length and fails the Luhn check.
func (id ID) isDigits() bool {
	length, value := int(id[digitsMark]), binary.BigEndian.Uint64(id[digitsMark+1:])
	return length >= pan.MinLength && length <= pan.MaxLength &&
		value >= pow10(length-1) && value < pow10(length) && !pan.LuhnValid(value)
}

// decimal returns the value of up to 19 ASCII digits.
func decimal(digits string) uint64 {
	value := uint64(0)
	for _, c := range []byte(digits) {
		value = value*10 + uint64(c-'0')
	}
	return value
}

// pow10 returns 10^n. For n up to 22 a float64 holds the power exactly.
func pow10(n int) uint64 { return uint64(math.Pow10(n)) }
