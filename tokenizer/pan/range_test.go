package pan_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/tokenizer/pan"
)

func TestRangeValidate(t *testing.T) {
	sub := func(first, last uint64) *pan.Interval { return &pan.Interval{First: first, Last: last} }
	tests := []struct {
		name  string
		r     pan.Range
		field string // "" if valid
		size  uint64 // of what is valid
	}{
		{"BIN of six digits", pan.Range{Prefix: "999999", Length: 16}, "", 1_000_000_000},
		{"eleven digits", pan.Range{Prefix: "99999912345", Length: 16}, "", 10_000},
		{"one free digit", pan.Range{Prefix: "99999912345678", Length: 16}, "", 10},
		{"longest prefix", pan.Range{Prefix: "99999912345678901", Length: 19}, "", 10},
		{"largest range", pan.Range{Prefix: "000000", Length: 19}, "", 1_000_000_000_000},
		{"smallest PAN", pan.Range{Prefix: "999999", Length: 12}, "", 100_000},
		{"part", pan.Range{Prefix: "999999", Length: 16, Sub: sub(5, 7)}, "", 3},
		{"a single PAN", pan.Range{Prefix: "999999", Length: 16, Sub: sub(0, 0)}, "", 1},
		{"last PAN", pan.Range{Prefix: "999999", Length: 16, Sub: sub(999_999_999, 999_999_999)}, "", 1},
		{"reserved", pan.Range{Prefix: "99999912345678", Length: 16, Reserved: []pan.Interval{{0, 3}, {5, 9}}}, "", 10},

		{"zero", pan.Range{}, "prefix", 0},
		{"prefix of five", pan.Range{Prefix: "99999", Length: 16}, "prefix", 0},
		{"prefix of eighteen", pan.Range{Prefix: "999999999999999999", Length: 19}, "prefix", 0},
		{"prefix with space", pan.Range{Prefix: "99 9999", Length: 16}, "prefix", 0},
		{"prefix of other digits", pan.Range{Prefix: "９９９９９９", Length: 16}, "prefix", 0},
		{"length 11", pan.Range{Prefix: "999999", Length: 11}, "length", 0},
		{"length 20", pan.Range{Prefix: "999999", Length: 20}, "length", 0},
		{"negative length", pan.Range{Prefix: "999999", Length: -16}, "length", 0},
		{"no free digit", pan.Range{Prefix: "999999123456789", Length: 16}, "prefix", 0},
		{"prefix as long as the PAN", pan.Range{Prefix: "9999991234567890", Length: 16}, "prefix", 0},
		{"prefix longer than the PAN", pan.Range{Prefix: "99999912345678901", Length: 16}, "prefix", 0},
		{"part upside down", pan.Range{Prefix: "999999", Length: 16, Sub: sub(7, 5)}, "sub.last", 0},
		{"part too long", pan.Range{Prefix: "999999", Length: 16, Sub: sub(0, 1_000_000_000)}, "sub.last", 0},
		{"part beyond everything", pan.Range{Prefix: "999999", Length: 16, Sub: sub(0, math.MaxUint64)}, "sub.last", 0},

		{"reserved upside down", pan.Range{Prefix: "99999912345678", Length: 16, Reserved: []pan.Interval{{3, 2}}}, "reserved[0].last", 10},
		{"reserved below", pan.Range{Prefix: "999999", Length: 16, Sub: sub(5, 7), Reserved: []pan.Interval{{4, 5}}}, "reserved[0].first", 3},
		{"reserved beyond", pan.Range{Prefix: "999999", Length: 16, Sub: sub(5, 7), Reserved: []pan.Interval{{5, 5}, {7, 8}}}, "reserved[1].last", 3},
		{"reserved twice", pan.Range{Prefix: "99999912345678", Length: 16, Reserved: []pan.Interval{{4, 6}, {0, 1}, {6, 8}}}, "reserved[2]", 10},
		{"all reserved", pan.Range{Prefix: "99999912345678", Length: 16, Reserved: []pan.Interval{{5, 9}, {0, 4}}}, "reserved", 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.r.Validate()
			var wrong *pan.RangeError
			switch {
			case tt.field == "" && err != nil:
				t.Errorf("Validate: %v", err)
			case tt.field != "" && (!errors.As(err, &wrong) || wrong.Field != tt.field):
				t.Errorf("Validate = %v, want one about %s", err, tt.field)
			case err != nil && (strings.Contains(err.Error(), "9999") || !strings.Contains(err.Error(), tt.field)):
				t.Errorf("the error does not name the field, or repeats it: %v", err)
			}
			if got := tt.r.Size(); got != tt.size {
				t.Errorf("Size = %d, want %d", got, tt.size)
			}
		})
	}
}

// What is not valid must be harmless: it holds nothing, and nothing panics.
func TestInvalidRangeHoldsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := pan.Range{
			Prefix: rapid.StringMatching(`[0-9]{0,20}|.{0,20}`).Draw(t, "prefix"),
			Length: rapid.IntRange(-1, 25).Draw(t, "length"),
		}
		if rapid.Bool().Draw(t, "part") {
			r.Sub = &pan.Interval{First: rapid.Uint64().Draw(t, "first"), Last: rapid.Uint64().Draw(t, "last")}
		}
		p, _ := anyPAN(t)
		i := rapid.Uint64().Draw(t, "i")
		size, at := r.Size(), r.At(i)
		if valid := r.Validate() == nil; valid != (size > 0) || at.IsZero() != (i >= size) || r.IsReserved(i) != (i >= size) {
			t.Fatalf("valid %t, size %d, At(%d) zero %t", valid, size, i, at.IsZero())
		}
		if size == 0 && (r.Contains(p) || r.Overlaps(r)) {
			t.Fatal("an invalid range contains or overlaps something")
		}
	})
}
