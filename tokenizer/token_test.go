package tokenizer_test

import (
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/tokenizer/pan"
)

func mustPAN(tb testing.TB, digits string) pan.PAN {
	tb.Helper()
	p, err := pan.Parse(digits)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// withRandom makes crypto/rand read from r until the test ends.
func withRandom(t *testing.T, r io.Reader) {
	t.Helper()
	before := rand.Reader
	rand.Reader = r
	t.Cleanup(func() { rand.Reader = before })
}

func TestZeroTokenIsNone(t *testing.T) {
	var zero tokenizer.Token
	if zero.String() != "" || zero.Format() != 0 || zero.ID() != (tokenizer.ID{}) {
		t.Errorf("the zero Token is %q of format %s", zero, zero.Format())
	}
	if tokenizer.FromID(tokenizer.ID{}) != zero {
		t.Error("the zero ID is some token's")
	}
}

func TestFormatNames(t *testing.T) {
	want := map[tokenizer.Format]string{0: "invalid", tokenizer.Opaque: "opaque", tokenizer.Digits: "digits", 3: "invalid"}
	for f, name := range want {
		if f.String() != name {
			t.Errorf("format %d is %q, want %q", f, f, name)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want error
	}{
		{"empty", "", tokenizer.ErrMalformed},
		{"prefix alone", "tok_", tokenizer.ErrMalformed},
		{"one character short", "tok_0296tiiBb3U904RIpygpjjwI", tokenizer.ErrMalformed},
		{"one character more", "tok_0296tiiBb3U904RIpygpjjwIo0", tokenizer.ErrMalformed},
		{"upper-case prefix", "TOK_0296tiiBb3U904RIpygpjjwIo", tokenizer.ErrMalformed},
		{"no prefix", "0296tiiBb3U904RIpygpjjwIo", tokenizer.ErrMalformed},
		{"leading space", " tok_0296tiiBb3U904RIpygpjjwIo", tokenizer.ErrMalformed},
		{"trailing newline", "tok_0296tiiBb3U904RIpygpjjwIo\n", tokenizer.ErrMalformed},
		{"other character", "tok_0296tiiBb3U904RIpygpjj_Io", tokenizer.ErrMalformed},
		{"other character in the check", "tok_0296tiiBb3U904RIpygpjjwI-", tokenizer.ErrMalformed},
		{"character of two bytes", "tok_0296tiiBb3U904RIpygpjjwé", tokenizer.ErrMalformed},
		{"2^128 + 2^100, for the ID 2^100", "tok_7n42DgwimMDZANteTA7qWe0H8", tokenizer.ErrMalformed},
		{"2^128 + 2^127, for the ID 2^127", "tok_Bgb3JtX8DVecEgiBKfsYQCSLz", tokenizer.ErrMalformed},
		{"5·2^128 + 2^90, for the ID 2^90", "tok_cxKB4Jo3DBVYbdlNV4Q8TAsuj", tokenizer.ErrMalformed},
		{"62^22 - 1, for what is left of it", "tok_zzzzzzzzzzzzzzzzzzzzzzrdR", tokenizer.ErrMalformed},
		{"2^128, check of the number", "tok_7n42DGM5Tflk9n8mt7Fhc8uhx", tokenizer.ErrMalformed},
		{"check beyond the modulus", "tok_3tX16dB2jpss4tZORYcurCzzy", tokenizer.ErrMalformed},
		{"ID zero, check right", "tok_0000000000000000000000001", tokenizer.ErrMalformed},
		{"ID of a digits token, check right", "tok_00000000005ffCr8WfEdaFvRt", tokenizer.ErrMalformed},
		{"largest ID with the mark, check right", "tok_0000000001SkYaaiXSSTS3HoP", tokenizer.ErrMalformed},

		{"11 digits", "41111111112", tokenizer.ErrMalformed},
		{"20 digits", "41111111111111111112", tokenizer.ErrMalformed},
		{"leading zero", "0111111111111111", tokenizer.ErrMalformed},
		{"sign", "+4111111111111112", tokenizer.ErrMalformed},
		{"full-width digits", "４１１１１１１１１１１１１１１２", tokenizer.ErrMalformed},

		{"a PAN", "4111111111111111", tokenizer.ErrLooksLikePAN},
		{"a PAN of 12 digits", "676770000005", tokenizer.ErrLooksLikePAN},
		{"a PAN of 19 digits", "9999999999999999998", tokenizer.ErrLooksLikePAN},
		{"a PAN of no card network", "1111111111111117", tokenizer.ErrLooksLikePAN},
		{"a PAN with leading zero", "0000001234567897", tokenizer.ErrLooksLikePAN},
		{"a PAN in groups", "4111 1111 1111 1111", tokenizer.ErrLooksLikePAN},
		{"a PAN with a space", "4111111111111111 ", tokenizer.ErrLooksLikePAN},
		{"a PAN in full-width digits", "４１１１１１１１１１１１１１１１", tokenizer.ErrLooksLikePAN},
		{"a PAN behind the prefix", "tok_4111111111111111", tokenizer.ErrLooksLikePAN},
		{"track data", ";4111111111111111=2512101?", tokenizer.ErrLooksLikePAN},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tokenizer.Parse(tt.in)
			if !errors.Is(err, tt.want) || got != (tokenizer.Token{}) {
				t.Errorf("Parse = %q, %v; want %v", got, err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "1111") {
				t.Errorf("the error repeats the token: %v", err)
			}
		})
	}
}

// anyID draws IDs of both formats and of none.
func anyID(t *rapid.T) tokenizer.ID {
	var id tokenizer.ID
	copy(id[rapid.SampledFrom([]int{0, 0, 7, 8}).Draw(t, "from"):], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
	if rapid.Bool().Draw(t, "length in bounds") && id[0] == 0 {
		id[7] = byte(rapid.IntRange(pan.MinLength, pan.MaxLength).Draw(t, "length"))
	}
	return id
}

// An ID is a token's or none's, never two tokens', and the other way round.
func TestIDsAndTextsCorrespond(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := anyID(t)
		token := tokenizer.FromID(id)
		if token == (tokenizer.Token{}) {
			return
		}
		if token.ID() != id {
			t.Fatalf("FromID(%x) has the ID %x", id, token.ID())
		}
		back, err := tokenizer.Parse(token.String())
		if err != nil || back != token {
			t.Fatalf("%x is written %s and read as %x, %v", id, token, back.ID(), err)
		}
	})
}

// P7: a token is never a valid PAN, and nothing that looks for PANs takes it for one.
func TestTokenIsNeverAPAN(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		token := tokenizer.FromID(anyID(t))
		if rapid.Bool().Draw(t, "new") {
			p := pan.Range{Prefix: "400000", Length: rapid.IntRange(pan.MinLength, pan.MaxLength).Draw(t, "length")}.
				At(rapid.Uint64Range(0, 9999).Draw(t, "index"))
			var err error
			if token, err = tokenizer.NewDigits(p, rapid.Bool().Draw(t, "keep last four")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := pan.Parse(token.String()); err == nil {
			t.Fatalf("%s is a PAN", token)
		}
		if err := tokenizer.Screen(token.String()); err != nil {
			t.Fatalf("%s: %v", token, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"tok_0296tiiBb3U904RIpygpjjwIo", "tok_7n42DGM5Tflk9n8mt7Fhc7ui4", "4111111111111112", "400000000004", "9999999999999999999",
		"4111111111111111", "tok_", "", "tok_zzzzzzzzzzzzzzzzzzzzzzGbm", "4111 1111 1111 1111",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		token, err := tokenizer.Parse(s)
		switch {
		case err == nil:
			if token.String() != s || tokenizer.FromID(token.ID()) != token || token.Format() == 0 {
				t.Fatalf("%q is read as %q", s, token)
			}
			if _, err := pan.Parse(s); err == nil {
				t.Fatalf("the PAN %q passes for a token", s)
			}
		case token != (tokenizer.Token{}):
			t.Fatal("a token comes with the error")
		case !errors.Is(err, tokenizer.ErrMalformed) && !errors.Is(err, tokenizer.ErrLooksLikePAN):
			t.Fatalf("error %v", err)
		}
		if _, panErr := pan.Parse(s); panErr == nil && !errors.Is(err, tokenizer.ErrLooksLikePAN) {
			t.Fatalf("the PAN %q is refused with %v", s, err)
		}
	})
}
