package vault

import "time"

// Expiry is the month at whose end a card expires, as months since January
// 2000. The zero Expiry is January 2000, long past.
type Expiry int16

// NewExpiry refuses what is no month of 2000–2099.
func NewExpiry(year, month int) (Expiry, error) {
	if year < 2000 || year > 2099 || month < 1 || month > 12 {
		return 0, ErrExpiry
	}
	return Expiry((year-2000)*12 + month - 1), nil
}

// ExpiryIn returns the expiry of a card made now that is valid for some months.
func ExpiryIn(now time.Time, months int) Expiry {
	now = now.UTC()
	return Expiry((now.Year()-2000)*12 + int(now.Month()) - 1 + months) //nolint:gosec // at most 240 months from now
}

// Year returns the four-digit year.
func (e Expiry) Year() int { return 2000 + int(e)/12 }

// Month returns 1–12.
func (e Expiry) Month() int { return int(e)%12 + 1 }

// Past reports whether the month has ended at now, UTC.
func (e Expiry) Past(now time.Time) bool { return e < ExpiryIn(now, 0) }
