package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// fold returns s with the forms of digits, spaces and dashes that keyboards and word processors put in place of the
// ASCII ones turned into those: full-width digits of East Asian input, no-break spaces, dashes of all lengths. Text that
// is ASCII, as nearly all is, comes back as it is.
func fold(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return strings.Map(foldRune, s)
		}
	}
	return s
}

func foldRune(r rune) rune {
	switch {
	case '\uff10' <= r && r <= '\uff19': // full-width digits
		return r - '\uff10' + '0'
	case '\u0660' <= r && r <= '\u0669': // Arabic-Indic digits
		return r - '\u0660' + '0'
	case '\u06f0' <= r && r <= '\u06f9': // digits of Persian and Urdu
		return r - '\u06f0' + '0'
	case '\u0966' <= r && r <= '\u096f': // Devanagari digits
		return r - '\u0966' + '0'
	case r == '\u00a0', '\u2000' <= r && r <= '\u200a', r == '\u202f', r == '\u3000': // spaces
		return ' '
	case '\u2010' <= r && r <= '\u2015', r == '\u2212', r == '\uff0d': // hyphens, dashes, minus
		return '-'
	case r == '\uff3e': // full-width circumflex
		return '^'
	case r == '\uff1d': // full-width equals sign
		return '='
	}
	return r
}
