package fingerprint_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/crypto/envelope"
	"github.com/cardvault/cardvault/crypto/fingerprint"
	"github.com/cardvault/cardvault/crypto/secret"
)

// rawKey is 00 01 02 … 1f.
func rawKey() []byte {
	raw := make([]byte, fingerprint.KeySize)
	for i := range raw {
		raw[i] = byte(i)
	}
	return raw
}

func newKey(tb testing.TB, raw []byte) *fingerprint.Key {
	tb.Helper()
	key, err := fingerprint.NewKey(secret.New(raw))
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// Fingerprints are stored and compared for years, so these bytes must never
// change. They were computed outside Go, by another HMAC implementation.
func TestFingerprintsAreForEver(t *testing.T) {
	tests := []struct {
		label string
		parts [][]byte
		want  string
	}{
		{"cardvault/pan/v1", [][]byte{[]byte("9000000000000001")}, "f2f18aba38dad56a35b246e985b77293"},
		{"cardvault/pan/v1", [][]byte{[]byte("9000000000000001"), nil}, "11e1b9a6e1ba226dd56fb92557583be6"},
		{"x/v1", nil, "5555bd1112d67aaa2e4091acfb28f8a2"},
		{"x/v1", [][]byte{bytes.Repeat([]byte{0xaa}, 200)}, "72c18f6d2118f64757e02117ebf587b0"},
	}
	key := newKey(t, rawKey())
	for _, tt := range tests {
		sum := key.Sum(tt.label, tt.parts...)
		if got := hex.EncodeToString(sum[:]); got != tt.want {
			t.Errorf("Sum(%q, %x) = %s, want %s", tt.label, tt.parts, got, tt.want)
		}
	}
}

func TestSumIsTruncatedHMAC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key")
		label := rapid.String().Draw(t, "label")
		parts := rapid.SliceOf(rapid.SliceOf(rapid.Byte())).Draw(t, "parts")
		key, err := fingerprint.NewKey(secret.New(bytes.Clone(raw)))
		if err != nil {
			t.Fatal(err)
		}
		mac := hmac.New(sha256.New, raw)
		mac.Write(envelope.Bind(label, parts...))
		for range 2 { // the second time by a hash that was used before
			if got := key.Sum(label, parts...); !bytes.Equal(got[:], mac.Sum(nil)[:16]) {
				t.Fatalf("Sum = %x, want %x", got, mac.Sum(nil)[:16])
			}
		}
	})
}

func TestOtherKeysGiveOtherFingerprints(t *testing.T) {
	a, b := newKey(t, rawKey()), newKey(t, bytes.Repeat([]byte{7}, fingerprint.KeySize))
	if a.Sum("x/v1", []byte("same")) == b.Sum("x/v1", []byte("same")) {
		t.Error("two keys agree")
	}
}

func TestManyAtOnce(t *testing.T) {
	key := newKey(t, rawKey())
	var wg sync.WaitGroup
	for _, part := range [][]byte{[]byte("a"), []byte("b"), []byte("c"), []byte("d")} {
		wg.Go(func() {
			mac := hmac.New(sha256.New, rawKey())
			mac.Write(envelope.Bind("x/v1", part))
			want := mac.Sum(nil)[:fingerprint.Size]
			for range 500 {
				if got := key.Sum("x/v1", part); !bytes.Equal(got[:], want) {
					t.Errorf("Sum of %s = %x, want %x", part, got, want)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestWipingTheRawKeyLeavesTheKey(t *testing.T) {
	raw := secret.New(rawKey())
	key, err := fingerprint.NewKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	raw.Wipe()
	if got, want := key.Sum("x/v1"), newKey(t, rawKey()).Sum("x/v1"); got != want {
		t.Errorf("Sum = %x, want %x", got, want)
	}
}

func TestNewKeyRefusesOtherSizes(t *testing.T) {
	for _, n := range []int{0, 1, 16, 31, 33, 64} {
		if key, err := fingerprint.NewKey(secret.Random(n)); err == nil || key != nil {
			t.Errorf("a key of %d bytes: %v, %v", n, key, err)
		}
	}
}

func TestKeyPrintsNoBytes(t *testing.T) {
	raw := []byte("a key of exactly thirty-two byte")
	key := newKey(t, bytes.Clone(raw))
	key.Sum("x/v1") // fills the pool
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{key, *key, struct{ k *fingerprint.Key }{key}} {
			printed := fmt.Sprintf(format, value)
			for _, form := range []string{string(raw[:8]), hex.EncodeToString(raw[:8]), "97 32 107 101"} {
				if strings.Contains(printed, form) {
					t.Errorf("%s shows the key: %s", format, printed)
				}
			}
		}
	}
}

func BenchmarkSum(b *testing.B) {
	key, pan := newKey(b, rawKey()), []byte("9000000000000001")
	b.ReportAllocs()
	for b.Loop() {
		key.Sum("cardvault/pan/v1", pan)
	}
}
