package vault

import (
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/tokenizer"
)

// Every text that a caller sends has a grammar of its own, and nothing else gets
// in. What a refused text looks like only chooses the reason: card data in the
// wrong place is named as such, without repeating it.

// field refuses a text of a field for the reason given, or for a graver one.
func field(name, text string, reason *Error) *Error {
	err := tokenizer.Screen(text)
	switch {
	case errors.Is(err, tokenizer.ErrTrackData):
		reason = ErrTrackData
	case errors.Is(err, tokenizer.ErrCardData):
		reason = ErrCardData
	case looksLikeVerificationCode(text):
		reason = ErrVerificationCode
	}
	return reason.In(name)
}

// looksLikeVerificationCode reports whether text is three or four digits: no field
// that is refused wants those.
func looksLikeVerificationCode(text string) bool {
	return (len(text) == 3 || len(text) == 4) && strings.Trim(text, digits) == ""
}

const (
	digits     = "0123456789"
	lowercase  = "abcdefghijklmnopqrstuvwxyz"
	maxPurpose = 64
	minRangeID = 3
	maxRangeID = 63
	// maxDigits keeps a PAN from hiding in a name.
	maxDigits = 8
)

// parseID reads a UUID in the canonical form of RFC 9562 §4, lower case.
func parseID(name, text string, reason *Error) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil || id == uuid.Nil || id.String() != text {
		return uuid.Nil, field(name, text, reason)
	}
	return id, nil
}

// checkPurpose refuses a purpose that is missing or that no policy could name.
func checkPurpose(text string) *Error {
	if len(text) > maxPurpose || !isName(text, lowercase+digits+"-_") {
		return field("purpose", text, ErrPurpose)
	}
	return nil
}

// checkRangeID refuses what is no id of a BIN range.
func checkRangeID(name, text string) *Error {
	if len(text) < minRangeID || len(text) > maxRangeID || !isName(text, lowercase+digits+"-") {
		return field(name, text, ErrBINRangeID)
	}
	return nil
}

func countDigits(text string) int {
	n := 0
	for _, r := range text {
		if strings.ContainsRune(digits, r) {
			n++
		}
	}
	return n
}

// isName reports whether text starts with a lower-case letter, has only these
// characters, and at most maxDigits digits.
func isName(text, characters string) bool {
	return text != "" && strings.Contains(lowercase, text[:1]) && strings.Trim(text, characters) == "" &&
		countDigits(text) <= maxDigits
}

// Month is an expiry as a caller gives it.
type Month struct{ Year, Month int }

// expiry reads a month that has not ended.
func (m *Month) expiry(now time.Time) (Expiry, error) {
	e, err := NewExpiry(m.Year, m.Month)
	if err != nil {
		return 0, ErrExpiry.In("expiry")
	}
	if e.Past(now) {
		return 0, ErrExpiryPast.In("expiry")
	}
	return e, nil
}
