package tokenizer

import (
	"errors"

	"github.com/cardvault/cardvault/tokenizer/pan"
)

// What Screen finds.
var (
	// ErrCardData is returned if a text has what looks like a PAN in it.
	ErrCardData = errors.New("tokenizer: text has a card number in it")
	// ErrTrackData is returned if a text has what looks like the data of a magnetic stripe or its equivalent on a chip:
	// sensitive authentication data, which PCI DSS 3.3.1 forbids to store even encrypted.
	ErrTrackData = errors.New("tokenizer: text has track data in it")
)

// Screen looks for card data in a text that has no business with it: a name, a reference, a purpose, a token. It
// returns ErrTrackData, ErrCardData or nil, and never repeats what it found.
//
// A PAN is a run of 12 to 19 digits that passes the Luhn check and begins as card numbers do (major industry identifier,
// ISO/IEC 7812-1 annex A), or the same in the groups that are printed on cards, with single spaces or dashes between.
// Digits and dashes of other scripts that are typed for these count as these.
//
// Screen stands against mistakes, not against someone who hides a number on purpose. One random number in ten passes the
// Luhn check, so it takes care not to see PANs where digits are commonly something else: not inside a word with
// letters, not in UUIDs and other hexadecimal ids, not in timestamps, telephone numbers with a +, or spaced IBANs.
func Screen(s string) error {
	s = fold(s)
	switch {
	case hasTrack(s):
		return ErrTrackData
	case hasPAN(s):
		return ErrCardData
	}
	return nil
}

// hasPAN looks at each word of s, a run of ASCII letters and digits. Letters of other scripts bound a word, since there
// are languages that put no space between them and a number.
func hasPAN(s string) bool {
	for start := 0; start < len(s); {
		end := wordEnd(s, start)
		if allDigits(s[start:end]) && (isPlainPAN(s, start, end) || beginsGroupedPAN(s, start)) {
			return true
		}
		start = max(end, start+1)
	}
	return false
}

// isPlainPAN reports whether the word from start to end, all digits, is a PAN.
func isPlainPAN(s string, start, end int) bool {
	const longestPhoneNumber = 15 // ITU-T E.164
	isPhone := start > 0 && s[start-1] == '+' && end-start <= longestPhoneNumber
	return !isPhone && passesForPAN(s[start:end]) && !inHexID(s, start, end)
}

// beginsGroupedPAN reports whether a PAN in printed groups begins at start.
func beginsGroupedPAN(s string, start int) bool {
	// 16 digits; 19 as on some of them; 15 of American Express; 14 of Diners Club; 19 of UnionPay.
	for _, groups := range [...]string{"\x04\x04\x04\x04", "\x04\x04\x04\x04\x03", "\x04\x06\x05", "\x04\x06\x04", "\x06\x0d"} {
		if isGrouped(s[start:], groups) && !followsIBANStart(s[:start]) {
			return true
		}
	}
	return false
}

// isGrouped reports whether s begins with digits in groups of these sizes that together pass for a PAN.
func isGrouped(s, groups string) bool {
	var digits [pan.MaxLength]byte
	n, at := 0, 0
	for i, size := range []byte(groups) {
		if i > 0 {
			// The same single space or dash after every group.
			separator := int(groups[0])
			if at >= len(s) || s[at] != s[separator] || s[at] != ' ' && s[at] != '-' {
				return false
			}
			at++
		}
		end := at + int(size)
		if end > len(s) || !allDigits(s[at:end]) {
			return false
		}
		n += copy(digits[n:], s[at:end])
		at = end
	}
	return wordEnd(s, at) == at && passesForPAN(string(digits[:n]))
}

// followsIBANStart reports whether what comes before is the first group of a spaced IBAN: DE89.
func followsIBANStart(before string) bool {
	n := len(before)
	return n >= 5 && before[n-1] == ' ' && isLetter(before[n-5]) && isLetter(before[n-4]) && allDigits(before[n-3:n-1])
}

// passesForPAN reports whether word is 12 to 19 digits that begin as card numbers do and pass the Luhn check.
func passesForPAN(word string) bool {
	if len(word) < pan.MinLength || len(word) > pan.MaxLength || !beginsLikeCard(word) {
		return false
	}
	return pan.LuhnValid(decimal(word))
}

// beginsLikeCard reports whether the first two digits are those of payment cards: 22–27 Mir and Mastercard, 3 to 6 all
// large networks, 81 UnionPay, 9 national networks. That leaves out 0, 1 and 20: dates and Unix times begin so.
func beginsLikeCard(digits string) bool {
	switch first, second := digits[0], digits[1]; first {
	case '3', '4', '5', '6', '9':
		return true
	case '2':
		return '2' <= second && second <= '7'
	case '8':
		return second == '1'
	}
	return false
}

// wordEnd returns the end of the word that begins at start.
func wordEnd(s string, start int) int {
	for start < len(s) && (isDigit(s[start]) || isLetter(s[start])) {
		start++
	}
	return start
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// allDigits reports whether s is digits, at least one.
func allDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}
