package pan_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/tokenizer/pan"
)

func mustParse(tb testing.TB, s string) pan.PAN {
	tb.Helper()
	p, err := pan.Parse(s)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// anyPAN draws a PAN of any length, and its digits.
func anyPAN(t *rapid.T) (pan.PAN, string) {
	length := rapid.IntRange(pan.MinLength, pan.MaxLength).Draw(t, "length")
	payload := rapid.Uint64Range(0, uint64(math.Pow10(length-1))-1).Draw(t, "payload")
	digits := fmt.Sprintf("%0*d%d", length-1, payload, pan.CheckDigit(payload))
	p, err := pan.Parse(digits)
	if err != nil {
		t.Fatal(err)
	}
	return p, digits
}

func TestParse(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want error
	}{
		{"12 digits", "676770000005", nil},
		{"13 digits", "4222222222222", nil},
		{"14 digits", "30569309025904", nil},
		{"15 digits", "378282246310005", nil},
		{"16 digits", "4111111111111111", nil},
		{"18 digits", "586824160825533338", nil},
		{"19 digits", "6205500000000000004", nil},
		{"19 digits, the largest", "9999999999999999998", nil},
		{"leading zeros", "0000000000000000", nil},
		{"empty", "", pan.ErrLength},
		{"11 digits", "11111111110", pan.ErrLength},
		{"20 digits", "41111111111111111111", pan.ErrLength},
		{"20 digits that wrap to a valid number", "18450855184820662727", pan.ErrLength},
		{"long", strings.Repeat("4", 1<<16), pan.ErrLength},
		{"last digit wrong", "4111111111111112", pan.ErrCheckDigit},
		{"one digit wrong", "4111111111111011", pan.ErrCheckDigit},
		{"neighbours swapped", "6205500000000000040", pan.ErrCheckDigit},
		{"spaces between groups", "4111 1111 1111 1111", pan.ErrDigit},
		{"dashes between groups", "4111-1111-1111-1111", pan.ErrDigit},
		{"leading space", " 4111111111111111", pan.ErrDigit},
		{"trailing newline", "4111111111111111\n", pan.ErrDigit},
		{"trailing NUL", "4111111111111111\x00", pan.ErrDigit},
		{"sign", "+411111111111111", pan.ErrDigit},
		{"underscores", "4111_1111_1111_1111", pan.ErrDigit},
		{"letter", "411111111111111a", pan.ErrDigit},
		{"full-width digits", "４１１１１１１１１１１１１１１１", pan.ErrDigit},
		{"Arabic-Indic digits", "٤١١١١١١١١١١١١١١١", pan.ErrDigit},
		{"masked", "411111******1111", pan.ErrDigit},
		{"one below 0", "411111111111111/", pan.ErrDigit},
		{"one above 9", "411111111111111:", pan.ErrDigit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := pan.Parse(tt.in)
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if err != nil {
				if !p.IsZero() {
					t.Error("a PAN comes with the error")
				}
				return
			}
			if p.Reveal() != tt.in || p.Len() != len(tt.in) {
				t.Errorf("reveals %s of length %d", p.Reveal(), p.Len())
			}
		})
	}
}

func TestErrorsRepeatNoDigits(t *testing.T) {
	for _, in := range []string{"4111111111111112", "41111111111111111111", "4111 1111 1111 1111", "41111111111"} {
		_, err := pan.Parse(in)
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v %q", err, err, err), "1111") {
			t.Errorf("error for %d characters: %v", len(in), err)
		}
	}
}

func TestFromNumber(t *testing.T) {
	tests := []struct {
		name   string
		n      uint64
		length int
		want   error
	}{
		{"16 digits", 4111111111111111, 16, nil},
		{"leading zeros fill the length", 4111111111111111, 19, nil},
		{"one digit too long", 4111111111111111, 15, pan.ErrLength},
		{"check digit", 4111111111111112, 16, pan.ErrCheckDigit},
		{"largest uint64", math.MaxUint64, 19, pan.ErrLength},
		{"11 digits", 0, 11, pan.ErrLength},
		{"20 digits", 0, 20, pan.ErrLength},
		{"negative length", 0, -16, pan.ErrLength},
		{"length beyond a byte", 0, 256 + 16, pan.ErrLength},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := pan.FromNumber(tt.n, tt.length)
			if !errors.Is(err, tt.want) || (err == nil) == p.IsZero() {
				t.Fatalf("error %v, want %v; zero %t", err, tt.want, p.IsZero())
			}
			if err == nil && (p.Number() != tt.n || p.Len() != tt.length || len(p.Reveal()) != tt.length) {
				t.Errorf("number %d, length %d, reveals %s", p.Number(), p.Len(), p.Reveal())
			}
		})
	}
}

func TestZeroPAN(t *testing.T) {
	var p pan.PAN
	if !p.IsZero() || p.Len() != 0 || p.Number() != 0 || p.Reveal() != "" {
		t.Error("the zero PAN has digits")
	}
	if p.Masked() != "" || p.LastFour() != "" || p.BIN(6) != "" || p.BIN(8) != "" {
		t.Error("the zero PAN shows digits")
	}
	if p.Equal(pan.PAN{}) || p.Equal(mustParse(t, "000000000000")) || mustParse(t, "000000000000").Equal(p) {
		t.Error("the zero PAN equals something")
	}
	packed := p.Pack()
	if _, err := pan.Unpack(packed[:]); !errors.Is(err, pan.ErrPacked) {
		t.Errorf("unpacking the zero PAN: %v", err)
	}
	if pan.IsTestPAN(p) {
		t.Error("the zero PAN is a test PAN")
	}
}

func TestEqual(t *testing.T) {
	a := mustParse(t, "4111111111111111")
	if !a.Equal(mustParse(t, "4111111111111111")) {
		t.Error("two PANs of the same digits differ")
	}
	for _, other := range []string{"4242424242424242", "04111111111111111"} {
		if a.Equal(mustParse(t, other)) {
			t.Error("different PANs are equal")
		}
	}
}

func TestParseAcceptsExactlyTheRightCheckDigit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, digits := anyPAN(t)
		payload, valid := digits[:len(digits)-1], digits[len(digits)-1]
		for c := byte('0'); c <= '9'; c++ {
			_, err := pan.Parse(payload + string(c))
			if (err == nil) != (c == valid) {
				t.Fatalf("check digit %c: %v", c, err)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"4111111111111111", "676770000005", "9999999999999999998", "4111 1111 1111 1111", "", "４１１１"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := pan.Parse(s)
		if err != nil {
			if !p.IsZero() {
				t.Fatal("a PAN comes with the error")
			}
			return
		}
		if p.Reveal() != s || p.Len() != len(s) || !pan.LuhnValid(p.Number()) {
			t.Fatalf("%q reveals %q", s, p.Reveal())
		}
		packed := p.Pack()
		if q, err := pan.Unpack(packed[:]); err != nil || !q.Equal(p) {
			t.Fatalf("%q does not survive packing: %v", s, err)
		}
	})
}
