package vault

import (
	"errors"
	"strconv"
	"time"

	"github.com/cardvault/cardvault/tokenizer/pan"
)

// BINRangeSpec is what a creator says of a range.
type BINRangeSpec struct {
	ID        string
	Prefix    string
	PANLength int
	// First and Last are the inclusive sub-interval of free digits, each with all its
	// digits; both empty: all of them.
	First, Last string
	Reserved    []TextInterval
	// ValidityMonths of a new card whose request names no expiry, 1–240.
	ValidityMonths int
}

// TextInterval is an inclusive interval of free digits, each with all its digits.
type TextInterval struct{ First, Last string }

// BINRange is a registered range with its fill.
type BINRange struct {
	BINRangeSpec

	State    BINRangeState
	Capacity int64
	// Issued counts the numbers that were used, Live the active and suspended cards.
	Issued, Live int64
	// DaysToExhaustion at the mean rate since creation; negative where there is no
	// telling: before the first card, and in the range's first hour.
	DaysToExhaustion float64
	Created          time.Time
}

const maxValidity = 240

// capacity returns how many numbers the range has, reserved ones included.
func (r BINRangeRow) capacity() int64 { return r.Last - r.First + 1 }

// issued returns how many numbers are used.
func (r BINRangeRow) issued() int64 { return r.Carved - r.Left }

// closed returns why the range issues nothing, or nil.
func (r BINRangeRow) closed() *Error {
	switch r.State {
	case RangeActive:
		return nil
	case RangePaused:
		return ErrBINRangePaused
	default:
		return ErrBINRangeStopped
	}
}

// pans returns the range of PANs that the row describes.
func (r BINRangeRow) pans() (pan.Range, error) {
	of := pan.Range{
		Prefix: r.Prefix, Length: int(r.Length),
		Sub: &pan.Interval{First: uint64(r.First), Last: uint64(r.Last)}, //nolint:gosec // below 10^18
	}
	for _, i := range r.Reserved {
		of.Reserved = append(of.Reserved, pan.Interval{First: uint64(i.First), Last: uint64(i.Last)}) //nolint:gosec // as above
	}
	return of, of.Validate()
}

// binRange returns what may be shown of a row.
func (r BINRangeRow) binRange(now time.Time) BINRange {
	width := int(r.Length) - 1 - len(r.Prefix)
	shown := BINRange{
		BINRangeSpec: BINRangeSpec{
			ID: r.Name, Prefix: r.Prefix, PANLength: int(r.Length),
			First: freeDigits(r.First, width), Last: freeDigits(r.Last, width), ValidityMonths: int(r.ValidityMonths),
		},
		State: r.State, Capacity: r.capacity(), Issued: r.issued(), Live: r.issued() - r.Gone,
		DaysToExhaustion: -1, Created: r.Created,
	}
	for _, i := range r.Reserved {
		shown.Reserved = append(shown.Reserved, TextInterval{freeDigits(i.First, width), freeDigits(i.Last, width)})
	}
	if age := now.Sub(r.Created); r.issued() > 0 && age >= time.Hour {
		shown.DaysToExhaustion = float64(r.capacity()-r.issued()) * age.Hours() / 24 / float64(r.issued())
	}
	return shown
}

// freeDigits writes free digits with leading zeros.
func freeDigits(n int64, width int) string {
	text := strconv.FormatInt(n, 10)
	for len(text) < width {
		text = "0" + text
	}
	return text
}

func (s BINRangeSpec) bytes() [][]byte {
	parts := [][]byte{
		[]byte(s.ID), []byte(s.Prefix), []byte(strconv.Itoa(s.PANLength)), []byte(s.First), []byte(s.Last),
		[]byte(strconv.Itoa(s.ValidityMonths)),
	}
	for _, i := range s.Reserved {
		parts = append(parts, []byte(i.First), []byte(i.Last))
	}
	return parts
}

// row reads what a creator says.
func (s BINRangeSpec) row() (BINRangeRow, error) {
	if s.ValidityMonths < 1 || s.ValidityMonths > maxValidity {
		return BINRangeRow{}, ErrBINRangeInvalid.In("validity_months")
	}
	width := s.PANLength - 1 - len(s.Prefix)
	if s.PANLength > pan.MaxLength || width < 1 {
		return BINRangeRow{}, ErrBINRangeInvalid.In("pan_length")
	}
	row := BINRangeRow{
		Name: s.ID, Prefix: s.Prefix, Length: int16(s.PANLength), ValidityMonths: int16(s.ValidityMonths), //nolint:gosec // bounded above
	}
	whole := TextInterval{s.First, s.Last}
	if s.First == "" && s.Last == "" {
		whole = TextInterval{freeDigits(0, width), strconv.FormatUint(pow10(width)-1, 10)}
	}
	var err error
	if row.First, row.Last, err = whole.read("first", width); err != nil {
		return BINRangeRow{}, err
	}
	for _, i := range s.Reserved {
		var interval Interval
		if interval.First, interval.Last, err = i.read("reserved", width); err != nil {
			return BINRangeRow{}, err
		}
		row.Reserved = append(row.Reserved, interval)
	}
	if _, err := row.pans(); err != nil {
		return BINRangeRow{}, rangeError(err)
	}
	return row, nil
}

// rangeError names the field that is wrong and what it must be.
func rangeError(err error) error {
	var wrong *pan.RangeError
	if !errors.As(err, &wrong) {
		return err
	}
	named := ErrBINRangeInvalid.In(wrong.Field)
	named.Message = wrong.Problem
	return named
}

// read reads an interval of free digits of the given width.
func (i TextInterval) read(name string, width int) (first, last int64, err error) {
	for _, text := range []string{i.First, i.Last} {
		if n, err := strconv.ParseUint(text, 10, 63); err != nil || len(text) != width || n >= pow10(width) {
			return 0, 0, field(name, text, ErrBINRangeInvalid)
		}
	}
	first, _ = strconv.ParseInt(i.First, 10, 64)
	last, _ = strconv.ParseInt(i.Last, 10, 64)
	if first > last {
		return 0, 0, ErrBINRangeInvalid.In(name)
	}
	return first, last, nil
}

func pow10(n int) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}
