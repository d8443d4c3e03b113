package tokenizer

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
)

// The text of an opaque token is
//
//	tok_ ‖ 22 characters: the ID as a number in base 62 ‖ 3 check characters
//
// with the characters 0–9, A–Z, a–z for 0 to 61, most significant first and always 22, so that texts sort as IDs do.
// The check characters are those of the pure systems of ISO/IEC 7064, with radix 62 and a modulus of our own: the ID
// followed by them, read as one number, leaves the remainder 1. As the modulus is a prime, every wrong character is
// seen; as 62 has the order 79,440 modulo it, so is every swap of two characters, wherever they stand; and of any other
// damage one in 238,321 is missed. A mistyped token is thus told from an unknown one without asking the store.
const (
	opaquePrefix = "tok_"
	idChars      = 22 // 62^22 > 2^128
	checkChars   = 3
	opaqueLength = len(opaquePrefix) + idChars + checkChars

	radix        = 62
	checkModulus = 238_321 // the largest prime below 62³
	checkShift   = radix * radix * radix % checkModulus
	alphabet     = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// NewOpaque returns a new opaque token of 128 random bits. The 2^72 values with the mark of the Digits format are drawn
// again: that takes 2^-56 of them.
func NewOpaque() Token {
	for {
		var id ID
		// crypto/rand.Read never returns an error: it ends the program when the system has no randomness to give.
		_, _ = rand.Read(id[:])
		if !id.marked() {
			return Token{id}
		}
	}
}

// opaqueText returns the text of an opaque token's ID.
func (id ID) opaqueText() string {
	var text [opaqueLength]byte
	copy(text[:], opaquePrefix)
	check := id.check()
	for i := opaqueLength - 1; i >= opaqueLength-checkChars; i-- {
		text[i] = alphabet[check%radix]
		check /= radix
	}
	hi, lo := id.words()
	for i := opaqueLength - checkChars - 1; i >= len(opaquePrefix); i-- {
		var digit uint64
		hi, digit = hi/radix, hi%radix
		lo, digit = bits.Div64(digit, lo, radix)
		text[i] = alphabet[digit]
	}
	return string(text[:])
}

// parseOpaque returns the opaque token that s spells, or ErrMalformed.
func parseOpaque(s string) (Token, error) {
	if len(s) != opaqueLength {
		return Token{}, ErrMalformed
	}
	idText, checkText := s[len(opaquePrefix):opaqueLength-checkChars], s[opaqueLength-checkChars:]
	hi, lo, ok := decode(idText)
	_, check, okCheck := decode(checkText)
	var id ID
	binary.BigEndian.PutUint64(id[:8], hi)
	binary.BigEndian.PutUint64(id[8:], lo)
	// check == id.check() also refuses what exceeds the modulus: another spelling of the same remainder.
	if !ok || !okCheck || id.marked() || check != id.check() {
		return Token{}, ErrMalformed
	}
	return Token{id}, nil
}

// check returns the check characters as a number below checkModulus: c such that id·62³ + c leaves the remainder 1.
func (id ID) check() uint64 {
	hi, lo := id.words()
	rest := bits.Rem64(hi, lo, checkModulus) * checkShift % checkModulus
	return (1 + checkModulus - rest) % checkModulus
}

// words returns the ID as a number of two words.
func (id ID) words() (hi, lo uint64) {
	return binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])
}

// decode returns the number that s is in base 62, of two words. It is not ok if s has another character, or if the
// number is 2^128 or more: such a text would be a second one for some ID.
func decode(s string) (hi, lo uint64, ok bool) {
	for _, c := range []byte(s) {
		digit, ok := decodeChar(c)
		if !ok {
			return 0, 0, false
		}
		overflow, high := bits.Mul64(hi, radix)
		carry, low := bits.Mul64(lo, radix)
		low, c1 := bits.Add64(low, digit, 0)
		high, c2 := bits.Add64(high, carry, c1)
		if overflow != 0 || c2 != 0 {
			return 0, 0, false
		}
		hi, lo = high, low
	}
	return hi, lo, true
}

// decodeChar returns the place of c in the alphabet.
func decodeChar(c byte) (uint64, bool) {
	switch {
	case '0' <= c && c <= '9':
		return uint64(c - '0'), true
	case 'A' <= c && c <= 'Z':
		return uint64(c-'A') + 10, true
	case 'a' <= c && c <= 'z':
		return uint64(c-'a') + 36, true
	}
	return 0, false
}
