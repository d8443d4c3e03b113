package pan

import "strings"

const (
	shownFirst  = 6 // PCI SSC FAQ 1091: at most the first six …
	shownLast   = 4 // … and the last four digits may be kept
	hiddenLeast = 5 // the same: of a 15-digit PAN five digits at least must go; held for every length here
)

// Masked returns the PAN with its middle digits replaced by asterisks, for display and storage: 411111******1111. It
// shows the last four digits and as many of the first six as leave five hidden, so a 12-digit PAN shows three and four.
//
// PCI DSS 3.4.1: no more than the BIN and the last four digits are shown; PCI SSC FAQ 1091: what may be kept truncated.
//
// The zero PAN masks as "": a mask that cannot mask returns nothing rather than the number.
func (p PAN) Masked() string {
	if p.IsZero() {
		return ""
	}
	digits := p.Reveal()
	first := min(shownFirst, len(digits)-shownLast-hiddenLeast)
	return digits[:first] + strings.Repeat("*", len(digits)-first-shownLast) + digits[len(digits)-shownLast:]
}

// LastFour returns the last four digits, or "" for the zero PAN.
func (p PAN) LastFour() string {
	if p.IsZero() {
		return ""
	}
	digits := p.Reveal()
	return digits[len(digits)-shownLast:]
}

// BIN returns the first six or eight digits, the issuer identification number of ISO/IEC 7812-1 (six before its 2017
// edition, eight since). It returns "" for any other number of digits, for the zero PAN, and where BIN and last four
// together would leave fewer than four digits hidden (PCI SSC FAQ 1091, 16-digit PAN with 8-digit BIN): eight need a
// PAN of 16 digits, six one of 14.
func (p PAN) BIN(digits int) string {
	if digits != 6 && digits != 8 || digits+shownLast+4 > p.Len() {
		return ""
	}
	return p.Reveal()[:digits]
}
