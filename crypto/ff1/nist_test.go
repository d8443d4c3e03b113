package ff1_test

import (
	"encoding/hex"
	"testing"

	"github.com/cardvault/cardvault/crypto/ff1"
)

// The radix-10 samples of NIST's "Block Cipher Modes of Operation FF1 Method for Format-Preserving Encryption":
// samples 1 and 2 with AES-128, 4 and 5 with AES-192, 7 and 8 with AES-256. (3, 6 and 9 are of radix 36.)
func TestNISTSamples(t *testing.T) {
	const (
		key128 = "2b7e151628aed2a6abf7158809cf4f3c"
		key192 = key128 + "ef4359d8d580aa4f"
		key256 = key192 + "7f036d6f04fc6a94"
		tweak  = "39383736353433323130"
	)
	const plain, digits = 123456789, 10 // 0123456789
	tests := []struct {
		sample string
		key    string
		tweak  string
		want   uint64
	}{
		{"1", key128, "", 2433477484},
		{"2", key128, tweak, 6124200773},
		{"4", key192, "", 2830668132},
		{"5", key192, tweak, 2496655549},
		{"7", key256, "", 6657667009},
		{"8", key256, tweak, 1001623463},
	}
	for _, tt := range tests {
		t.Run(tt.sample, func(t *testing.T) {
			c := mustNew(t, mustHex(t, tt.key))
			got, err := c.Encrypt(plain, digits, mustHex(t, tt.tweak))
			if err != nil || got != tt.want {
				t.Errorf("Encrypt = %010d, %v; want %010d", got, err, tt.want)
			}
			back, err := c.Decrypt(tt.want, digits, mustHex(t, tt.tweak))
			if err != nil || back != plain {
				t.Errorf("Decrypt = %010d, %v; want %010d", back, err, plain)
			}
		})
	}
}

func mustNew(tb testing.TB, key []byte) *ff1.Cipher {
	tb.Helper()
	c, err := ff1.New(key)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func mustHex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
