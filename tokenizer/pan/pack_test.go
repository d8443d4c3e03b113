package pan_test

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/tokenizer/pan"
)

// The packed form is what lies in ciphertexts and under fingerprints: it must never change.
func TestPackedFormIsPinned(t *testing.T) {
	tests := []struct {
		digits string
		want   []byte
	}{
		{"4111111111111111", []byte{16, 0x00, 0x0e, 0x9b, 0x08, 0xa5, 0x68, 0xf1, 0xc7}},
		{"000000000000", []byte{12, 0, 0, 0, 0, 0, 0, 0, 0}},
		{"9999999999999999998", []byte{19, 0x8a, 0xc7, 0x23, 0x04, 0x89, 0xe7, 0xff, 0xfe}},
	}
	for _, tt := range tests {
		got := mustParse(t, tt.digits).Pack()
		if !bytes.Equal(got[:], tt.want) {
			t.Errorf("%s packs as %x, want %x", tt.digits, got, tt.want)
		}
	}
}

func TestUnpackIsStrict(t *testing.T) {
	valid := mustParse(t, "4111111111111111").Pack()
	changed := func(at int, to byte) []byte {
		b := bytes.Clone(valid[:])
		b[at] = to
		return b
	}
	tests := []struct {
		name string
		in   []byte
	}{
		{"nil", nil},
		{"short", valid[:8]},
		{"long", append(bytes.Clone(valid[:]), 0)},
		{"length 0", changed(0, 0)},
		{"length 11", changed(0, 11)},
		{"length too short for the number", changed(0, 15)},
		{"length 20", changed(0, 20)},
		{"length 255", changed(0, 255)},
		{"number beyond its length", changed(1, 0x80)},
		{"check digit", changed(8, 0xc8)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if p, err := pan.Unpack(tt.in); !errors.Is(err, pan.ErrPacked) || !p.IsZero() {
				t.Errorf("Unpack = %v, want ErrPacked and the zero PAN", err)
			}
		})
	}
}

func TestPackRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, digits := anyPAN(t)
		packed := p.Pack()
		q, err := pan.Unpack(packed[:])
		if err != nil || !q.Equal(p) || q.Reveal() != digits {
			t.Fatalf("%s comes back as %s, %v", digits, q.Reveal(), err)
		}
	})
}

func FuzzUnpack(f *testing.F) {
	packed := [pan.PackedSize]byte{16, 0x00, 0x0e, 0x9b, 0x08, 0xa5, 0x68, 0xf1, 0xc7}
	f.Add(packed[:])
	f.Add(make([]byte, 9))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := pan.Unpack(b)
		if err != nil {
			return
		}
		if again := p.Pack(); !bytes.Equal(again[:], b) {
			t.Fatalf("%x packs again as %x", b, again)
		}
		if _, err := pan.Parse(p.Reveal()); err != nil {
			t.Fatalf("%x unpacks to what does not parse: %v", b, err)
		}
	})
}
