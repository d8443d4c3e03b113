package audit_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/vault/audit"
)

func TestBundleReadsWhatItWrote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 0, audit.TileWidth).Draw(t, "bodies")
		var bundle []byte
		for _, body := range want {
			bundle = audit.AppendBundle(bundle, body)
		}
		got, err := audit.ParseBundle(bundle)
		if err != nil || !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("%d bodies, %v; want %d", len(got), err, len(want))
		}
	})
}

func TestBundleOfTheLongestBodies(t *testing.T) {
	body := bytes.Repeat([]byte{'x'}, audit.MaxBody)
	bundle := audit.AppendBundle(audit.AppendBundle(nil, body), nil)
	if !bytes.HasPrefix(bundle, []byte{0xff, 0xff, 'x'}) || !bytes.HasSuffix(bundle, []byte{'x', 0, 0}) {
		t.Errorf("lengths %x and %x", bundle[:2], bundle[len(bundle)-2:])
	}
	if got, err := audit.ParseBundle(bundle); err != nil || len(got) != 2 || !bytes.Equal(got[0], body) || len(got[1]) != 0 {
		t.Errorf("%d bodies, %v", len(got), err)
	}
}

func malformedBundles() [][]byte {
	return [][]byte{
		{0},
		{0, 1},
		{0, 0, 0},
		{0xff, 0xff, 'x'},
		{0, 2, 'a'},
		{0, 1, 'a', 0, 1},
		bytes.Repeat([]byte{0, 1, 'a'}, audit.TileWidth+1),
		bytes.Repeat([]byte{0}, 2*audit.TileWidth+2),
	}
}

func TestParseBundleRefuses(t *testing.T) {
	for _, bundle := range malformedBundles() {
		if got, err := audit.ParseBundle(bundle); !errors.Is(err, audit.ErrBundle) || got != nil {
			t.Errorf("%.10x is %d bodies, %v", bundle, len(got), err)
		}
	}
}

// Bodies share memory, but none can be appended to at the cost of the next.
func TestBundleBodiesDoNotGrowIntoEachOther(t *testing.T) {
	bodies, err := audit.ParseBundle([]byte{0, 1, 'a', 0, 1, 'b'})
	if err != nil {
		t.Fatal(err)
	}
	_ = append(bodies[0], "xyz"...)
	if string(bodies[1]) != "b" {
		t.Errorf("the second is %q", bodies[1])
	}
}

func FuzzParseBundle(f *testing.F) {
	for _, bundle := range append(malformedBundles(), nil, []byte{0, 0}, []byte{0, 1, 'a', 0, 2, 'b', 'c'}) {
		f.Add(bundle)
	}
	f.Fuzz(func(t *testing.T, bundle []byte) {
		bodies, err := audit.ParseBundle(bundle)
		if err != nil {
			if !errors.Is(err, audit.ErrBundle) {
				t.Fatal(err)
			}
			return
		}
		var again []byte
		for _, body := range bodies {
			again = audit.AppendBundle(again, body)
		}
		if len(bodies) > audit.TileWidth || !bytes.Equal(again, bundle) {
			t.Fatalf("%x reads as %d bodies, which make %x", bundle, len(bodies), again)
		}
	})
}
