package review

import (
	"time"
)

// Period is the time from Since until before Until. Zero times do not bound it.
type Period struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
}

// Has reports whether t is in the period.
func (p Period) Has(t time.Time) bool {
	return !t.Before(p.Since) && p.reaches(t)
}

// reaches reports whether t is in the period or before it.
func (p Period) reaches(t time.Time) bool {
	return p.Until.IsZero() || t.Before(p.Until)
}

const secondsOfDay = 24 * 60 * 60

// Day is a day in UTC, counted from 1970-01-01.
type Day int64

// DayOf returns the day that t is in.
func DayOf(t time.Time) Day {
	seconds := t.Unix()
	day := seconds / secondsOfDay
	if seconds%secondsOfDay < 0 {
		day--
	}
	return Day(day)
}

// Time returns the day's midnight.
func (d Day) Time() time.Time { return time.Unix(int64(d)*secondsOfDay, 0).UTC() }

// String returns the day as 2006-01-02.
func (d Day) String() string { return d.Time().Format(time.DateOnly) }

// MarshalText implements encoding.TextMarshaler.
func (d Day) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Day) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.DateOnly, string(text))
	if err != nil {
		return err
	}
	*d = DayOf(t)
	return nil
}
