package tokenizer_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/tokenizer/pan"
)

func TestDigitsIDIsPinned(t *testing.T) {
	tests := []struct{ text, id string }{
		{"4000000000000000", "00000000000000" + "10" + "000e35fa931a0000"},
		{"100000000000", "00000000000000" + "0c" + "000000174876e800"},
		{"9999999999999999999", "00000000000000" + "13" + "8ac7230489e7ffff"},
	}
	for _, tt := range tests {
		token, err := tokenizer.Parse(tt.text)
		if err != nil || token.ID() != mustID(t, tt.id) || token.Format() != tokenizer.Digits {
			t.Errorf("%s has the ID %x, %v; want %s", tt.text, token.ID(), err, tt.id)
		}
		if again := tokenizer.FromID(mustID(t, tt.id)); again.String() != tt.text {
			t.Errorf("%s is written %s, want %s", tt.id, again, tt.text)
		}
	}
}

func TestFromIDRefusesMarkedIDsThatAreNoToken(t *testing.T) {
	const mark = "00000000000000"
	tests := []struct{ name, id string }{
		{"length 0", mark + "00" + "000e35fa931a0000"},
		{"length 11", mark + "0b" + "00000002540be400"},
		{"length 20", mark + "14" + "8ac7230489e80000"},
		{"length 255", mark + "ff" + "000e35fa931a0000"},
		{"value too short", mark + "10" + "00038d7ea4c67fff"},
		{"value too long", mark + "10" + "002386f26fc10000"},
		{"leading zero", mark + "11" + "000e35fa931a0000"},
		{"passes Luhn", mark + "10" + "000e9b08a568f1c7"}, // 4111111111111111
		{"largest", mark + "13" + "ffffffffffffffff"},
	}
	for _, tt := range tests {
		if token := tokenizer.FromID(mustID(t, tt.id)); token != (tokenizer.Token{}) {
			t.Errorf("%s: %s is the token %s", tt.name, tt.id, token)
		}
	}
}

func TestNewDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.IntRange(pan.MinLength, pan.MaxLength).Draw(t, "length")
		payload := rapid.Uint64Range(0, uint64(math.Pow10(length-1))-1).Draw(t, "payload")
		p, err := pan.FromNumber(payload*10+pan.CheckDigit(payload), length)
		if err != nil {
			t.Fatal(err)
		}
		keep := rapid.Bool().Draw(t, "keep last four")
		token, err := tokenizer.NewDigits(p, keep)
		if err != nil {
			t.Fatal(err)
		}
		text := token.String()
		if token.Format() != tokenizer.Digits || len(text) != length || strings.Trim(text, "0123456789") != "" || text[0] == '0' {
			t.Fatalf("%s for a PAN of %d digits", text, length)
		}
		if keep && !strings.HasSuffix(text, p.LastFour()) {
			t.Fatalf("%s does not end in %s", text, p.LastFour())
		}
		if _, err := pan.Parse(text); !errors.Is(err, pan.ErrCheckDigit) {
			t.Fatalf("%s as a PAN: %v", text, err)
		}
	})
}

func TestNewDigitsForNoPAN(t *testing.T) {
	if token, err := tokenizer.NewDigits(pan.PAN{}, false); !errors.Is(err, pan.ErrLength) || token != (tokenizer.Token{}) {
		t.Errorf("NewDigits = %s, %v", token, err)
	}
}

// Every digit at every place that is drawn comes up about as often as it should, and nothing of the PAN but what was
// asked for remains.
func TestNewDigitsAreUniform(t *testing.T) {
	const draws = 20_000
	for _, keep := range []bool{false, true} {
		p := mustPAN(t, "4111111111111111")
		var count [16][10]int
		for range draws {
			token, err := tokenizer.NewDigits(p, keep)
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range []byte(token.String()) {
				count[i][c-'0']++
			}
		}
		drawn := 16
		if keep {
			drawn = 12
		}
		for place := range drawn {
			for digit, n := range count[place] {
				expected := draws / 10.0
				if place == 0 {
					expected = draws / 9.0 * float64(min(digit, 1))
				}
				// Eight standard deviations: by chance once in 10^15.
				if math.Abs(float64(n)-expected) > 8*math.Sqrt(expected) {
					t.Errorf("keep %t: digit %d at place %d comes up %d times of %d, want about %.0f", keep, digit, place, n, draws, expected)
				}
			}
		}
	}
}

func TestNewDigitsDrawsAgain(t *testing.T) {
	draw := func(x uint64) []byte {
		b := make([]byte, 8)
		for i := range b {
			b[i] = byte(x >> (56 - 8*i))
		}
		return b
	}
	const low = 1_000_000_000_000_000
	withRandom(t, bytes.NewReader(bytes.Join([][]byte{
		draw(math.MaxUint64 / (9 * low) * (9 * low)), // the largest multiple of 9·10^15, from which on remainders repeat
		draw(4111111111111111 - low),                 // a PAN
		draw(4111111111111112 - low),
	}, nil)))
	token, err := tokenizer.NewDigits(mustPAN(t, "4242424242424242"), false)
	if err != nil || token.String() != "4111111111111112" {
		t.Errorf("NewDigits = %s, %v; want the third draw", token, err)
	}
}

func TestShortestDigitsTokensDoNotRunOut(t *testing.T) {
	p := mustPAN(t, "676770000005")
	seen := map[tokenizer.Token]bool{}
	for range 1000 {
		token, err := tokenizer.NewDigits(p, true)
		if err != nil {
			t.Fatal(err)
		}
		seen[token] = true
	}
	// Of 8.1·10^7 tokens a thousand draws repeat one in 160 runs, and five once in 10^13.
	if len(seen) < 995 {
		t.Errorf("1000 draws give %d tokens", len(seen))
	}
}

func ExampleNewDigits() {
	p, err := pan.Parse("4111111111111111")
	if err != nil {
		return
	}
	token, err := tokenizer.NewDigits(p, true)
	if err != nil {
		return
	}
	fmt.Println(len(token.String()), token.String()[12:])
	// Output: 16 1111
}
