package pan_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/tokenizer/pan"
)

func TestTruncation(t *testing.T) {
	tests := []struct {
		in, masked, lastFour, bin6, bin8 string
	}{
		{"676770000005", "676*****0005", "0005", "", ""},
		{"4222222222222", "4222*****2222", "2222", "", ""},
		{"30569309025904", "30569*****5904", "5904", "305693", ""},
		{"378282246310005", "378282*****0005", "0005", "378282", ""},
		{"4111111111111111", "411111******1111", "1111", "411111", "41111111"},
		{"586824160825533338", "586824********3338", "3338", "586824", "58682416"},
		{"6205500000000000004", "620550*********0004", "0004", "620550", "62055000"},
		{"0000001234567897", "000000******7897", "7897", "000000", "00000012"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			p := mustParse(t, tt.in)
			if got := p.Masked(); got != tt.masked {
				t.Errorf("Masked = %s, want %s", got, tt.masked)
			}
			if got := p.LastFour(); got != tt.lastFour {
				t.Errorf("LastFour = %s, want %s", got, tt.lastFour)
			}
			if p.BIN(6) != tt.bin6 || p.BIN(8) != tt.bin8 {
				t.Errorf("BIN = %s and %s, want %s and %s", p.BIN(6), p.BIN(8), tt.bin6, tt.bin8)
			}
		})
	}
}

func TestBINTakesSixOrEightDigitsOnly(t *testing.T) {
	p := mustParse(t, "6205500000000000004")
	for n := -1; n <= 20; n++ {
		if got := p.BIN(n); (n == 6 || n == 8) != (len(got) == n && n > 0) {
			t.Errorf("BIN(%d) has %d digits", n, len(got))
		}
	}
}

// The rule of PCI SSC FAQ 1091, over all lengths: six, four, and never fewer than five hidden.
func TestMaskHidesEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, digits := anyPAN(t)
		masked := p.Masked()
		if len(masked) != len(digits) || strings.Count(masked, "*") < 5 {
			t.Fatalf("%s masks as %s", digits, masked)
		}
		first, last := strings.IndexByte(masked, '*'), len(masked)-1-strings.LastIndexByte(masked, '*')
		if first > 6 || last != 4 || masked[:first] != digits[:first] || masked[len(masked)-4:] != digits[len(digits)-4:] {
			t.Fatalf("%s masks as %s", digits, masked)
		}
		for _, n := range []int{6, 8} {
			if bin := p.BIN(n); bin != "" && len(digits)-len(bin)-4 < 4 {
				t.Fatalf("BIN(%d) and the last four leave too few of %d digits", n, len(digits))
			}
		}
	})
}

func TestMaskOfAMaskIsNoPAN(t *testing.T) {
	if _, err := pan.Parse(mustParse(t, "4111111111111111").Masked()); err == nil {
		t.Error("a masked PAN parses")
	}
}
