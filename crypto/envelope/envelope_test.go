package envelope_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/crypto/envelope"
	"github.com/cardvault/cardvault/crypto/secret"
)

const rawKey = "a key of exactly thirty-two byte"

func newKey(tb testing.TB, raw string) *envelope.Key {
	tb.Helper()
	key, err := envelope.NewKey(secret.New([]byte(raw)))
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func TestSealedRecordOpensToItself(t *testing.T) {
	key := newKey(t, rawKey)
	rapid.Check(t, func(t *rapid.T) {
		plaintext := rapid.SliceOf(rapid.Byte()).Draw(t, "plaintext")
		aad := rapid.SliceOf(rapid.Byte()).Draw(t, "aad")
		sealed, err := key.Seal(plaintext, aad)
		if err != nil {
			t.Fatal(err)
		}
		if len(sealed) != len(plaintext)+envelope.Overhead {
			t.Fatalf("%d bytes sealed to %d", len(plaintext), len(sealed))
		}
		opened, err := key.Open(sealed, aad)
		if err != nil || !bytes.Equal(opened, plaintext) {
			t.Fatalf("opened to %x, %v", opened, err)
		}
	})
}

// The stored form is plain AES-256-GCM, so another implementation opens it.
func TestSealedFormIsPlainGCM(t *testing.T) {
	aad := envelope.Bind("test/v1", []byte("row"))
	sealed, err := newKey(t, rawKey).Seal([]byte("card"), aad)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := newGCM(t).Open(nil, sealed[:12], sealed[12:], aad)
	if err != nil || string(opened) != "card" {
		t.Errorf("crypto/cipher opens it to %q, %v", opened, err)
	}
}

// newGCM returns the standard library's cipher under rawKey.
func newGCM(tb testing.TB) cipher.AEAD {
	tb.Helper()
	block, err := aes.NewCipher([]byte(rawKey))
	if err != nil {
		tb.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		tb.Fatal(err)
	}
	return gcm
}

// A record of an earlier day must open for ever: Test Case 16 of the GCM
// specification by McGrew and Viega (AES-256, associated data, 96-bit IV).
func TestOpenKnownRecord(t *testing.T) {
	unhex := func(s string) []byte {
		t.Helper()
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	raw := unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")
	sealed := unhex("cafebabefacedbaddecaf888" +
		"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662" +
		"76fc6ece0f4e1768cddf8853bb2d551b")
	aad := unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
	want := unhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39")

	opened, err := newKey(t, string(raw)).Open(sealed, aad)
	if err != nil || !bytes.Equal(opened, want) {
		t.Errorf("opened to %x, %v", opened, err)
	}
}

func TestEveryAlterationIsRefusedAlike(t *testing.T) {
	key := newKey(t, rawKey)
	aad := envelope.Bind("test/v1", []byte("row"))
	sealed, err := key.Seal([]byte("a record"), aad)
	if err != nil {
		t.Fatal(err)
	}
	refuse := func(how string, key *envelope.Key, sealed, aad []byte) {
		t.Helper()
		// Not errors.Is: any text around the error would tell one failure from another.
		if opened, err := key.Open(sealed, aad); err != envelope.ErrOpen || opened != nil { //nolint:errorlint // see above
			t.Errorf("%s: opened to %x, %v", how, opened, err)
		}
	}
	for bit := range len(sealed) * 8 {
		altered := bytes.Clone(sealed)
		altered[bit/8] ^= 1 << (bit % 8)
		refuse(fmt.Sprintf("bit %d flipped", bit), key, altered, aad)
	}
	for n := range sealed {
		refuse(fmt.Sprintf("cut to %d bytes", n), key, sealed[:n], aad)
	}
	refuse("a byte more", key, append(bytes.Clone(sealed), 0), aad)
	refuse("other row", key, sealed, envelope.Bind("test/v1", []byte("other")))
	refuse("other label", key, sealed, envelope.Bind("test/v2", []byte("row")))
	refuse("no associated data", key, sealed, nil)
	refuse("other key", newKey(t, strings.ToUpper(rawKey)), sealed, aad)
	refuse("zero key", new(envelope.Key), sealed, aad)
	refuse("nil key", nil, sealed, aad)
}

func TestSealingTwiceDiffers(t *testing.T) {
	key := newKey(t, rawKey)
	ivs := make(map[string]bool)
	for range 1000 {
		sealed, err := key.Seal([]byte("same"), nil)
		if err != nil {
			t.Fatal(err)
		}
		ivs[string(sealed[:12])] = true
	}
	if len(ivs) != 1000 {
		t.Errorf("%d IVs in 1000 records", len(ivs))
	}
}

func TestZeroKeySealsNothing(t *testing.T) {
	for _, key := range []*envelope.Key{nil, {}} {
		if sealed, err := key.Seal([]byte("card"), nil); err == nil || sealed != nil {
			t.Errorf("sealed %x, %v", sealed, err)
		}
	}
}

func TestNewKeyRefusesOtherSizes(t *testing.T) {
	for _, n := range []int{0, 1, 16, 24, 31, 33, 64} {
		if key, err := envelope.NewKey(secret.Random(n)); err == nil || key != nil {
			t.Errorf("a key of %d bytes: %v, %v", n, key, err)
		}
	}
}

func TestWipingTheRawKeyLeavesTheKey(t *testing.T) {
	raw := secret.New([]byte(rawKey))
	key, err := envelope.NewKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	raw.Wipe()
	sealed, err := key.Seal([]byte("card"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := newKey(t, rawKey).Open(sealed, nil); err != nil || string(opened) != "card" {
		t.Errorf("opened to %q, %v", opened, err)
	}
}

func TestKeyPrintsNoBytes(t *testing.T) {
	holder := struct {
		Key  *envelope.Key
		some any
	}{newKey(t, rawKey), newKey(t, rawKey)}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{holder, &holder, holder.Key, *holder.Key} {
			printed := fmt.Sprintf(format, value)
			for _, form := range []string{rawKey[:8], fmt.Sprintf("%x", rawKey[:8]), "97 32 107 101"} {
				if strings.Contains(printed, form) {
					t.Errorf("%s shows the key: %s", format, printed)
				}
			}
		}
	}
}

// Open agrees with another implementation about every record.
func FuzzOpen(f *testing.F) {
	key, gcm := newKey(f, rawKey), newGCM(f)
	aad := []byte("row")
	sealed, err := key.Seal([]byte("card"), aad)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(sealed[:27])
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, record []byte) {
		opened, err := key.Open(record, aad)
		if err != nil && !errors.Is(err, envelope.ErrOpen) {
			t.Fatalf("an error of its own: %v", err)
		}
		var want []byte
		wantErr := envelope.ErrOpen
		if len(record) >= envelope.Overhead {
			want, wantErr = gcm.Open(nil, record[:12], record[12:], aad)
		}
		if (err == nil) != (wantErr == nil) || !bytes.Equal(opened, want) {
			t.Errorf("%x opened to %x, %v; want %x, %v", record, opened, err, want, wantErr)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	key, pan, aad := newKey(b, rawKey), make([]byte, 16), make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := key.Seal(pan, aad); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	key, aad := newKey(b, rawKey), make([]byte, 64)
	sealed, err := key.Seal(make([]byte, 16), aad)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := key.Open(sealed, aad); err != nil {
			b.Fatal(err)
		}
	}
}
