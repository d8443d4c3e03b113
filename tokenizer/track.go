package tokenizer

import (
	"strings"

	"github.com/cardvault/cardvault/tokenizer/pan"
)

// Track data is what a magnetic stripe holds, ISO/IEC 7813, and a chip as its equivalent (EMV tag 57):
//
//	track 1   %B 4111111111111111 ^ DOE/JANE ^ 2512 101 … ?
//	track 2    ; 4111111111111111 = 2512 101 … ?
//	tag 57       4111111111111111 D 2512 101 … F
//
// Readers often strip the sentinels at both ends, so the separator after the number is what it is known by.

// hasTrack looks at each character that could be such a separator.
func hasTrack(s string) bool {
	for i, c := range []byte(s) {
		switch c {
		case '^':
			if isTrack1(s, i) {
				return true
			}
		case '=', 'D', 'd':
			if isTrack2(s, i) {
				return true
			}
		}
	}
	return false
}

// isTrack1 reports whether the separator at i ends the number of a track 1: a name and another separator follow. No
// other text looks like that, so the number need not pass for a PAN.
func isTrack1(s string, i int) bool {
	const longestName = 26
	name := s[i+1 : min(len(s), i+1+longestName+1)]
	return numberBefore(s, i) != "" && strings.Contains(name, "^")
}

// isTrack2 reports whether the separator at i ends the number of a track 2 or of a tag 57. After the start sentinel the
// four digits of the expiry are enough; without it the number must pass for a PAN and a service code follow.
func isTrack2(s string, i int) bool {
	const expiry, serviceCode = 4, 3
	number := numberBefore(s, i)
	if number == "" {
		return false
	}
	before, after := i-len(number)-1, digitsAfter(s, i)
	if s[i] == '=' && before >= 0 && s[before] == ';' {
		return after >= expiry
	}
	// Digits and a D within a longer word are letters of it.
	inWord := s[i] != '=' && before >= 0 && isLetter(s[before])
	return !inWord && after >= expiry+serviceCode && passesForPAN(number)
}

// numberBefore returns the 12 to 19 digits that end at i, or "" if there are fewer or more.
func numberBefore(s string, i int) string {
	start := i
	for start > 0 && isDigit(s[start-1]) {
		start--
	}
	if n := i - start; n < pan.MinLength || n > pan.MaxLength {
		return ""
	}
	return s[start:i]
}

// digitsAfter returns how many digits follow i, counting no further than anyone asks.
func digitsAfter(s string, i int) int {
	n := 0
	for n < 8 && i+1+n < len(s) && isDigit(s[i+1+n]) {
		n++
	}
	return n
}
