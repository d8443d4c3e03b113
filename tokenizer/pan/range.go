package pan

import "fmt"

const (
	// MinPrefix is the fewest digits of a range's prefix: an issuer identification number of six digits.
	MinPrefix = 6
	// MaxPrefix is the most: a PAN of 19 digits less the check digit and one free digit.
	MaxPrefix = MaxLength - 2
)

// Range is an issuer's account range: the PANs of one length that begin with one prefix, or a part of them.
//
// The digits between prefix and check digit are the free digits. Read as one decimal number they are what Sub and
// Reserved speak of; the index of a PAN in the range, which At and Index speak of, counts from the first of Sub.
//
// A Range is a plain value from configuration or a store: Validate says whether it makes sense. The methods of one
// that does not are safe and answer that it holds no PAN.
type Range struct {
	Prefix   string     // the first digits of every PAN, MinPrefix to MaxPrefix of them
	Length   int        // of the PANs, MinLength to MaxLength
	Sub      *Interval  // the free digits that belong to the range; nil: all
	Reserved []Interval // free digits within Sub that are never issued; no two overlap
}

// Interval is a run of values of the free digits, both ends included.
type Interval struct{ First, Last uint64 }

func (v Interval) contains(x uint64) bool   { return v.First <= x && x <= v.Last }
func (v Interval) overlaps(w Interval) bool { return v.First <= w.Last && w.First <= v.Last }

// RangeError says what is wrong with which field of a Range. It does not repeat the field's value.
type RangeError struct {
	Field   string // the field, as in "prefix" or "reserved[2].last"
	Problem string // what it must be, in words
}

// Error returns the field and the problem.
func (e *RangeError) Error() string { return "pan: range: " + e.Field + " " + e.Problem }

// Validate returns a *RangeError for the first field that is wrong, or nil.
func (r Range) Validate() error {
	switch {
	case !isPrefix(r.Prefix):
		return &RangeError{"prefix", "must be 6 to 17 decimal digits"}
	case r.Length < MinLength || r.Length > MaxLength:
		return &RangeError{"length", "must be 12 to 19"}
	case r.freeDigits() < 1:
		return &RangeError{"prefix", "must be at least 2 digits shorter than length: one free digit and the check digit"}
	case r.Sub != nil && r.Sub.First > r.Sub.Last:
		return &RangeError{"sub.last", "must not be below sub.first"}
	case r.Sub != nil && r.Sub.Last >= pow10(r.freeDigits()):
		return &RangeError{"sub.last", "must have no more digits than are free"}
	}
	return r.validateReserved()
}

func (r Range) validateReserved() error {
	sub, reserved := r.sub(), uint64(0)
	for i, v := range r.Reserved {
		field := fmt.Sprintf("reserved[%d]", i)
		switch {
		case v.First > v.Last:
			return &RangeError{field + ".last", "must not be below " + field + ".first"}
		case v.First < sub.First:
			return &RangeError{field + ".first", "must not be below the range's first"}
		case v.Last > sub.Last:
			return &RangeError{field + ".last", "must not be beyond the range's last"}
		}
		for j, w := range r.Reserved[:i] {
			if v.overlaps(w) {
				return &RangeError{field, fmt.Sprintf("must not overlap reserved[%d]", j)}
			}
		}
		reserved += v.Last - v.First + 1 // disjoint and within 10^12 numbers: no overflow
	}
	if reserved > sub.Last-sub.First {
		return &RangeError{"reserved", "must leave a number to issue"}
	}
	return nil
}

func isPrefix(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(s) >= MinPrefix && len(s) <= MaxPrefix
}

// freeDigits returns how many digits stand between prefix and check digit.
func (r Range) freeDigits() int { return r.Length - len(r.Prefix) - 1 }

// sub returns Sub, or the whole that nil stands for.
func (r Range) sub() Interval {
	if r.Sub != nil {
		return *r.Sub
	}
	return Interval{First: 0, Last: pow10(r.freeDigits()) - 1}
}
