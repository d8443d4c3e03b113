package pan_test

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/tokenizer/pan"
)

func TestRangeAt(t *testing.T) {
	tests := []struct {
		r    pan.Range
		i    uint64
		want string // "" for none
	}{
		{pan.Range{Prefix: "411111", Length: 16}, 111_111_111, "4111111111111111"},
		{pan.Range{Prefix: "411111", Length: 16}, 0, "4111110000000005"},
		{pan.Range{Prefix: "411111", Length: 16}, 999_999_999, "4111119999999994"},
		{pan.Range{Prefix: "411111", Length: 16}, 1_000_000_000, ""},
		{pan.Range{Prefix: "411111", Length: 16}, math.MaxUint64, ""},
		{pan.Range{Prefix: "411111", Length: 16, Sub: &pan.Interval{First: 111_111_110, Last: 111_111_111}}, 1, "4111111111111111"},
		{pan.Range{Prefix: "411111", Length: 16, Sub: &pan.Interval{First: 111_111_110, Last: 111_111_111}}, 2, ""},
		{pan.Range{Prefix: "00000012345", Length: 16}, 6789, "0000001234567897"},
		{pan.Range{Prefix: "62055000000000000", Length: 19}, 0, "6205500000000000004"},
		{pan.Range{}, 0, ""},
	}
	for _, tt := range tests {
		if got := tt.r.At(tt.i).Reveal(); got != tt.want {
			t.Errorf("%s+%d: %q, want %q", tt.r.Prefix, tt.i, got, tt.want)
		}
	}
}

func TestContains(t *testing.T) {
	r := pan.Range{Prefix: "411111", Length: 16, Sub: &pan.Interval{First: 111_111_110, Last: 111_111_111}, Reserved: []pan.Interval{{111_111_110, 111_111_110}}}
	tests := []struct {
		digits string
		want   bool
	}{
		{"4111111111111111", true},
		{"4111111111111103", true}, // reserved, and still in it
		{"4111111111111095", false},
		{"4111111111111129", false},
		{"04111111111111111", false}, // other lengths
		{"411111111111116", false},
		{"4242424242424242", false},
	}
	for _, tt := range tests {
		if got := r.Contains(mustParse(t, tt.digits)); got != tt.want {
			t.Errorf("Contains(%s) = %t", tt.digits, got)
		}
	}
	if r.Contains(pan.PAN{}) || (pan.Range{Prefix: "000000", Length: 16}).Contains(pan.PAN{}) {
		t.Error("a range contains the zero PAN")
	}
}

func TestOverlaps(t *testing.T) {
	part := func(first, last uint64) pan.Range {
		return pan.Range{Prefix: "411111", Length: 16, Sub: &pan.Interval{First: first, Last: last}}
	}
	tests := []struct {
		name string
		a, b pan.Range
		want bool
	}{
		{"itself", pan.Range{Prefix: "411111", Length: 16}, pan.Range{Prefix: "411111", Length: 16}, true},
		{"longer prefix inside", pan.Range{Prefix: "411111", Length: 16}, pan.Range{Prefix: "41111112345", Length: 16}, true},
		{"longer prefix beside", pan.Range{Prefix: "411111", Length: 16}, pan.Range{Prefix: "41111212345", Length: 16}, false},
		{"neighbours", pan.Range{Prefix: "411111", Length: 16}, pan.Range{Prefix: "411112", Length: 16}, false},
		{"other length", pan.Range{Prefix: "411111", Length: 16}, pan.Range{Prefix: "411111", Length: 19}, false},
		{"same digits read as one number", pan.Range{Prefix: "0411111", Length: 16}, pan.Range{Prefix: "411111", Length: 15}, false},
		{"parts that touch", part(0, 5), part(5, 9), true},
		{"parts side by side", part(0, 4), part(5, 9), false},
		{"part in part", part(0, 9), part(4, 5), true},
		{"longer prefix in a part", part(123_450_000, 123_459_999), pan.Range{Prefix: "41111112345", Length: 16}, true},
		{"longer prefix after a part", part(0, 123_449_999), pan.Range{Prefix: "41111112345", Length: 16}, false},
		{"invalid", pan.Range{Prefix: "4111", Length: 16}, pan.Range{Prefix: "411111", Length: 16}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.a.Overlaps(tt.b) != tt.want || tt.b.Overlaps(tt.a) != tt.want {
				t.Errorf("Overlaps = %t and %t, want %t", tt.a.Overlaps(tt.b), tt.b.Overlaps(tt.a), tt.want)
			}
		})
	}
}

func TestIsReserved(t *testing.T) {
	r := pan.Range{
		Prefix: "99999912345", Length: 16, Sub: &pan.Interval{First: 100, Last: 199},
		Reserved: []pan.Interval{{150, 159}, {100, 100}, {199, 199}},
	}
	want := map[uint64]bool{0: true, 1: false, 49: false, 50: true, 59: true, 60: false, 98: false, 99: true, 100: true, math.MaxUint64: true}
	for i, reserved := range want {
		if got := r.IsReserved(i); got != reserved {
			t.Errorf("IsReserved(%d) = %t", i, got)
		}
	}
}

// anyRange draws a valid range.
func anyRange(t *rapid.T) pan.Range {
	length := rapid.IntRange(pan.MinLength, pan.MaxLength).Draw(t, "length")
	prefix := rapid.IntRange(pan.MinPrefix, length-2).Draw(t, "prefix length")
	r := pan.Range{Prefix: rapid.StringMatching(fmt.Sprintf("[0-9]{%d}", prefix)).Draw(t, "prefix"), Length: length}
	if rapid.Bool().Draw(t, "part") {
		last := rapid.Uint64Range(0, uint64(math.Pow10(length-prefix-1))-1).Draw(t, "last")
		r.Sub = &pan.Interval{First: rapid.Uint64Range(0, last).Draw(t, "first"), Last: last}
	}
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAtAndIndexAreInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRange(t)
		i := rapid.Uint64Range(0, r.Size()-1).Draw(t, "i")
		p := r.At(i)
		if _, err := pan.Parse(p.Reveal()); err != nil || p.Len() != r.Length || p.Reveal()[:len(r.Prefix)] != r.Prefix {
			t.Fatalf("At(%d) = %s, %v", i, p.Reveal(), err)
		}
		if back, ok := r.Index(p); !ok || back != i || !r.Contains(p) {
			t.Fatalf("Index(At(%d)) = %d, %t", i, back, ok)
		}
	})
}

func TestOverlapsMeansASharedPAN(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyRange(t), anyRange(t)
		// Make a meeting likely: b takes over a's length and the beginning of its prefix.
		if rapid.Bool().Draw(t, "related") && len(b.Prefix)+2 <= a.Length && b.Sub == nil {
			shared := min(len(a.Prefix), len(b.Prefix))
			b.Length, b.Prefix = a.Length, a.Prefix[:shared]+b.Prefix[shared:]
		}
		// Intervals meet if and only if one holds the first of the other.
		shared := a.Contains(b.At(0)) || b.Contains(a.At(0))
		if a.Overlaps(b) != shared || b.Overlaps(a) != shared {
			t.Fatalf("Overlaps = %t, a shared PAN: %t", a.Overlaps(b), shared)
		}
	})
}
