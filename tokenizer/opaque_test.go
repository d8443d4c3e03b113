package tokenizer_test

import (
	"bytes"
	"encoding/hex"
	"io"
	"regexp"
	"testing"

	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/tokenizer"
)

func mustID(tb testing.TB, s string) (id tokenizer.ID) {
	tb.Helper()
	if n, err := hex.Decode(id[:], []byte(s)); err != nil || n != len(id) {
		tb.Fatalf("%s is no ID: %v", s, err)
	}
	return id
}

// Texts are in other companies' databases: they must never change. These were computed outside this code.
func TestOpaqueTextIsPinned(t *testing.T) {
	tests := []struct{ id, text string }{
		{"ffffffffffffffffffffffffffffffff", "tok_7n42DGM5Tflk9n8mt7Fhc7ui4"},
		{"00000000000001000000000000000000", "tok_0000000001SkYaaiXSSTS4HoI"},
		{"000102030405060708090a0b0c0d0e0f", "tok_000SYW7RiJxkEgOGusQGwp0TL"},
		{"0123456789abcdef0123456789abcdef", "tok_0296tiiBb3U904RIpygpjjwIo"},
	}
	for _, tt := range tests {
		token := tokenizer.FromID(mustID(t, tt.id))
		if token.String() != tt.text || token.Format() != tokenizer.Opaque {
			t.Errorf("%s is written %s, want %s", tt.id, token, tt.text)
		}
		if parsed, err := tokenizer.Parse(tt.text); err != nil || parsed.ID() != mustID(t, tt.id) {
			t.Errorf("%s is read as %x, %v; want %s", tt.text, parsed.ID(), err, tt.id)
		}
	}
}

func TestNewOpaque(t *testing.T) {
	form := regexp.MustCompile(`^tok_[0-9A-Za-z]{25}$`)
	seen := map[tokenizer.Token]bool{}
	var or, and tokenizer.ID
	copy(and[:], bytes.Repeat([]byte{0xff}, len(and)))
	for range 1000 {
		token := tokenizer.NewOpaque()
		if seen[token] || token.Format() != tokenizer.Opaque || !form.MatchString(token.String()) {
			t.Fatalf("%s: form, or a second time", token)
		}
		seen[token] = true
		for i, b := range token.ID() {
			or[i] |= b
			and[i] &= b
		}
	}
	// Every one of the 128 bits is random: over 1000 tokens each is 1 at least once and 0 at least once.
	if or != mustID(t, "ffffffffffffffffffffffffffffffff") || and != (tokenizer.ID{}) {
		t.Errorf("bits that never change: %x are never 1, %x never 0", or, and)
	}
}

func TestNewOpaqueDrawsAgainWhatHasTheMarkOfDigits(t *testing.T) {
	good := mustID(t, "00000000000001000000000000000000")
	withRandom(t, io.MultiReader(
		bytes.NewReader(make([]byte, 16)),
		bytes.NewReader(append(make([]byte, 7), 16, 0, 0x0e, 0x35, 0xfa, 0x93, 0x1a, 0, 0)), // 4·10^15, 16 digits: a digits token
		bytes.NewReader(good[:]),
	))
	if token := tokenizer.NewOpaque(); token.ID() != good {
		t.Errorf("NewOpaque = %x, want the third draw", token.ID())
	}
}

func anyOpaque(t *rapid.T) tokenizer.Token {
	id := tokenizer.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	id[0] |= 1
	return tokenizer.FromID(id)
}

func TestCheckSeesEveryWrongCharacter(t *testing.T) {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	rapid.Check(t, func(t *rapid.T) {
		token := anyOpaque(t).String()
		at := rapid.IntRange(len("tok_"), len(token)-1).Draw(t, "position")
		for _, c := range []byte(alphabet) {
			wrong := []byte(token)
			wrong[at] = c
			if _, err := tokenizer.Parse(string(wrong)); (err == nil) != (c == token[at]) {
				t.Fatalf("%s for %s: %v", wrong, token, err)
			}
		}
	})
}

func TestCheckSeesEverySwap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		token := anyOpaque(t).String()
		for i := len("tok_"); i < len(token); i++ {
			for j := i + 1; j < len(token); j++ {
				swapped := []byte(token)
				swapped[i], swapped[j] = swapped[j], swapped[i]
				if _, err := tokenizer.Parse(string(swapped)); (err == nil) != (token[i] == token[j]) {
					t.Fatalf("%s for %s: %v", swapped, token, err)
				}
			}
		}
	})
}

// Texts sort as IDs do, so that an index over either serves both.
func TestTextsSortAsIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyOpaque(t), anyOpaque(t)
		idA, idB := a.ID(), b.ID()
		if (a.String() < b.String()) != (bytes.Compare(idA[:], idB[:]) < 0) {
			t.Fatalf("%s and %s sort otherwise than %x and %x", a, b, idA, idB)
		}
	})
}
