package envelope_test

import (
	"bytes"
	"crypto/sha3"
	"encoding/hex"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/crypto/envelope"
)

// The encoding is the one of TupleHash128, so that NIST's own samples of that
// function pin every byte of it.
func TestBindIsTheEncodingOfTupleHash(t *testing.T) {
	samples := []struct {
		name, custom string
		tuple        []string
		digest       string
	}{
		{"sample 1", "", []string{"000102", "101112131415"}, "c5d8786c1afb9b82111ab34b65b2c0048fa64e6d48e263264ce1707d3ffc8ed1"},
		{"sample 2", "My Tuple App", []string{"000102", "101112131415"}, "75cdb20ff4db1154e841d758e24160c54bae86eb8c13e7f5f40eb35588e96dfb"},
		{"sample 3", "My Tuple App", []string{"000102", "101112131415", "202122232425262728"}, "e60f202c89a2631eda8d4c588ca5fd07f39e5151998deccf973adb3804bb6e84"},
	}
	for _, sample := range samples {
		t.Run(sample.name, func(t *testing.T) {
			first, rest := decodeTuple(t, sample.tuple)
			h := sha3.NewCSHAKE128([]byte("TupleHash"), []byte(sample.custom))
			rightEncode256 := []byte{0x01, 0x00, 0x02} // SP 800-185 §2.3.1
			if _, err := h.Write(append(envelope.Bind(string(first), rest...), rightEncode256...)); err != nil {
				t.Fatal(err)
			}
			digest := make([]byte, 32)
			if _, err := h.Read(digest); err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(digest); got != sample.digest {
				t.Errorf("TupleHash128 = %s, want %s", got, sample.digest)
			}
		})
	}
}

func decodeTuple(t *testing.T, tuple []string) (first []byte, rest [][]byte) {
	t.Helper()
	for _, element := range tuple {
		b, err := hex.DecodeString(element)
		if err != nil {
			t.Fatal(err)
		}
		rest = append(rest, b)
	}
	return rest[0], rest[1:]
}

func TestBindKeepsNeighboursApart(t *testing.T) {
	lists := map[string][]byte{
		"none":            envelope.Bind("l"),
		"one empty":       envelope.Bind("l", nil),
		"two empty":       envelope.Bind("l", nil, nil),
		"joined":          envelope.Bind("l", []byte("abc")),
		"split early":     envelope.Bind("l", []byte("a"), []byte("bc")),
		"split late":      envelope.Bind("l", []byte("ab"), []byte("c")),
		"label takes all": envelope.Bind("labc"),
		"its own bytes":   envelope.Bind("l", envelope.Bind("abc")),
	}
	for a, x := range lists {
		for b, y := range lists {
			if a != b && bytes.Equal(x, y) {
				t.Errorf("%q and %q encode alike: %x", a, b, x)
			}
		}
	}
}

func TestBindIsInjective(t *testing.T) {
	// Few letters and short parts make equal concatenations likely, which is
	// where an ambiguous encoding would collide.
	part := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 8, 'a'}), 0, 4)
	list := rapid.SliceOfN(part, 1, 5)
	rapid.Check(t, func(t *rapid.T) {
		x, y := list.Draw(t, "x"), list.Draw(t, "y")
		same := slices.EqualFunc(x, y, bytes.Equal)
		encoded := bytes.Equal(
			envelope.Bind(string(x[0]), x[1:]...),
			envelope.Bind(string(y[0]), y[1:]...),
		)
		if same != encoded {
			t.Fatalf("equal lists: %v, equal encodings: %v", same, encoded)
		}
	})
}

// A resplit of the same bytes is the pair that random lists seldom draw.
func TestBindTellsSplitsApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.SliceOfN(rapid.Byte(), 1, 600).Draw(t, "whole")
		i := rapid.IntRange(0, len(whole)).Draw(t, "i")
		j := rapid.IntRange(0, len(whole)).Draw(t, "j")
		x := envelope.Bind("split/v1", whole[:i], whole[i:])
		y := envelope.Bind("split/v1", whole[:j], whole[j:])
		if (i == j) != bytes.Equal(x, y) {
			t.Fatalf("splits at %d and %d: equal encodings %v", i, j, bytes.Equal(x, y))
		}
	})
}

func TestAppendBindExtends(t *testing.T) {
	dst := make([]byte, 2, 64)
	got := envelope.AppendBind(dst, "a/v1", []byte("b"))
	if want := append([]byte{0, 0}, envelope.Bind("a/v1", []byte("b"))...); !bytes.Equal(got, want) {
		t.Errorf("AppendBind = %x, want %x", got, want)
	}
}
