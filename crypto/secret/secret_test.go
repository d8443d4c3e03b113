package secret_test

import (
	"bytes"
	"testing"

	"github.com/cardvault/cardvault/crypto/secret"
)

func TestZeroValueIsEmptyAndSafe(t *testing.T) {
	var s secret.Bytes
	if s.Len() != 0 || s.Reveal() != nil {
		t.Errorf("zero secret has %d bytes", s.Len())
	}
	s.Wipe()
	if s.Equal(secret.Bytes{}) {
		t.Error("an empty secret equals another")
	}
	if s.Equal(secret.New([]byte{1})) || secret.New([]byte{1}).Equal(s) {
		t.Error("an empty secret equals a set one")
	}
}

func TestNewTakesTheBytesOver(t *testing.T) {
	b := []byte("sixteen byte key")
	s := secret.New(b)
	if &s.Reveal()[0] != &b[0] {
		t.Error("New made a second copy of the secret")
	}
	if s.Len() != 16 {
		t.Errorf("Len = %d, want 16", s.Len())
	}
}

func TestWipeReachesEveryCopy(t *testing.T) {
	b := []byte("sixteen byte key")
	s := secret.New(b)
	other := s
	s.Wipe()
	if !bytes.Equal(b, make([]byte, 16)) {
		t.Errorf("bytes after Wipe: %x", b)
	}
	if s.Len() != 0 || other.Len() != 0 {
		t.Error("a copy still holds the secret after Wipe")
	}
	s.Wipe()
}

func TestEqual(t *testing.T) {
	tests := []struct {
		name string
		a, b []byte
		want bool
	}{
		{"same", []byte("abc"), []byte("abc"), true},
		{"first byte differs", []byte("xbc"), []byte("abc"), false},
		{"last byte differs", []byte("abx"), []byte("abc"), false},
		{"prefix", []byte("ab"), []byte("abc"), false},
		{"zero bytes are bytes", []byte{0, 0}, []byte{0, 0}, true},
		{"both empty", nil, []byte{}, false},
		{"one empty", nil, []byte("abc"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := secret.New(tt.a), secret.New(tt.b)
			if a.Equal(b) != tt.want || b.Equal(a) != tt.want {
				t.Errorf("Equal = %t and %t, want %t", a.Equal(b), b.Equal(a), tt.want)
			}
		})
	}
}

func TestRandom(t *testing.T) {
	for _, n := range []int{-1, 0} {
		if got := secret.Random(n).Len(); got != 0 {
			t.Errorf("Random(%d) has %d bytes", n, got)
		}
	}
	a, b := secret.Random(32), secret.Random(32)
	if a.Len() != 32 || b.Len() != 32 {
		t.Fatalf("lengths %d and %d, want 32", a.Len(), b.Len())
	}
	if a.Equal(b) || bytes.Equal(a.Reveal(), make([]byte, 32)) {
		t.Error("Random does not fill its bytes with randomness")
	}
}
