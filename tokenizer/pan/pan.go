// Package pan holds everything that is true of a primary account number by itself: its form, its check digit, how much
// of it may be shown, the ranges an issuer owns and the secret order in which a range is handed out. It does no I/O.
//
// A [PAN] is valid from the moment it exists: there is no way to a value whose length or check digit is wrong. It
// redacts itself wherever Go prints or encodes it, and [PAN.Reveal] is the one way to its digits in clear. Errors say
// which rule was broken and never repeat what broke it.
//
// The standard is ISO/IEC 7812-1: a PAN is an issuer identification number, an individual account identification and a
// check digit, together at most 19 digits; here at least 12, the shortest that card networks use.
package pan

import (
	"crypto/subtle"
	"errors"
	"math"
)

const (
	// MinLength is the number of digits of the shortest PAN.
	MinLength = 12
	// MaxLength is the number of digits of the longest PAN, ISO/IEC 7812-1.
	MaxLength = 19
)

// What Parse and FromNumber refuse.
var (
	// ErrDigit is returned if a character is not one of the ASCII digits 0 to 9; spaces and dashes are not.
	ErrDigit = errors.New("pan: a character is not an ASCII digit")
	// ErrLength is returned if there are fewer than MinLength or more than MaxLength digits.
	ErrLength = errors.New("pan: length is not 12 to 19 digits")
	// ErrCheckDigit is returned if the last digit is not the Luhn check digit of the others.
	ErrCheckDigit = errors.New("pan: check digit is wrong")
)

// PAN is a primary account number. The zero value is none: it has no length and no digits, masks as nothing, equals
// nothing and cannot be packed.
type PAN struct {
	_      [0]func() // no ==: it would compare addresses
	length uint8
	// number stands behind a pointer for the unexported fields that fmt walks without asking for methods. It points to
	// a bare integer: a pointer to a struct or slice would be followed by verbs that do not suit it, such as %s.
	number *uint64
}

// Parse returns the PAN that s spells. It takes 12 to 19 ASCII digits and nothing else, neither spaces nor dashes: a
// caller that is not sure what it sends should be told so. It returns ErrDigit, ErrLength or ErrCheckDigit.
func Parse(s string) (PAN, error) {
	var number uint64
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return PAN{}, ErrDigit
		}
		number = number*10 + uint64(c-'0') // wraps around only beyond 19 digits, which the length refuses
	}
	if len(s) < MinLength || len(s) > MaxLength {
		return PAN{}, ErrLength
	}
	return FromNumber(number, len(s))
}

// FromNumber returns the PAN of the given length with this value, leading zeros included in the length. It returns
// ErrLength if the length is out of bounds or too short for n, and ErrCheckDigit.
func FromNumber(n uint64, length int) (PAN, error) {
	if length < MinLength || length > MaxLength || n >= pow10(length) {
		return PAN{}, ErrLength
	}
	if !LuhnValid(n) {
		return PAN{}, ErrCheckDigit
	}
	number := n // moved to the heap only for what is accepted
	return PAN{length: uint8(length), number: &number}, nil
}

// Len returns the number of digits, or 0 for the zero PAN.
func (p PAN) Len() int { return int(p.length) }

// IsZero reports whether p is the zero PAN, which is no card's.
func (p PAN) IsZero() bool { return p.number == nil }

// Number returns the value of the digits read as one decimal number, or 0 for the zero PAN. It is the PAN in clear.
func (p PAN) Number() uint64 {
	if p.number == nil {
		return 0
	}
	return *p.number
}

// Reveal returns the digits in clear, or "" for the zero PAN. Besides Number and Pack it is the only way to them, so a
// search for these three finds every place that sees a PAN.
func (p PAN) Reveal() string {
	var digits [MaxLength]byte
	n := p.Number()
	for i := p.Len() - 1; i >= 0; i-- {
		digits[i] = '0' + byte(n%10)
		n /= 10
	}
	return string(digits[:p.Len()])
}

// Equal reports whether p and q are the same PAN, in constant time. The zero PAN equals nothing, not even itself.
func (p PAN) Equal(q PAN) bool {
	a, b := p.Pack(), q.Pack()
	return !p.IsZero() && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// pow10 returns 10^n. For n up to 22 a float64 holds the power exactly.
func pow10(n int) uint64 { return uint64(math.Pow10(n)) }
