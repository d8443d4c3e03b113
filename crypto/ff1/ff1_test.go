package ff1_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/crypto/ff1"
)

func TestNewTakesAESKeysOnly(t *testing.T) {
	for n := range 66 {
		_, err := ff1.New(make([]byte, n))
		want := error(nil)
		if n != 16 && n != 24 && n != 32 {
			want = ff1.ErrKey
		}
		if !errors.Is(err, want) {
			t.Errorf("key of %d bytes: %v, want %v", n, err, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name   string
		x      uint64
		digits int
		tweak  int
		want   error
	}{
		{"no digits", 0, 0, 0, ff1.ErrDigits},
		{"negative digits", 0, -6, 0, ff1.ErrDigits},
		{"five digits", 0, 5, 0, ff1.ErrDigits},
		{"six digits", 999_999, 6, 0, nil},
		{"seven digits called six", 1_000_000, 6, 0, ff1.ErrValue},
		{"nineteen digits", 9_999_999_999_999_999_999, 19, 0, nil},
		{"twenty digits called nineteen", 10_000_000_000_000_000_000, 19, 0, ff1.ErrValue},
		{"largest uint64", math.MaxUint64, 19, 0, ff1.ErrValue},
		{"twenty digits", 0, 20, 0, ff1.ErrDigits},
		{"longest tweak", 0, 6, ff1.MaxTweak, nil},
		{"tweak too long", 0, 6, ff1.MaxTweak + 1, ff1.ErrTweak},
	}
	c := mustNew(t, make([]byte, 16))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			y, err := c.Encrypt(tt.x, tt.digits, make([]byte, tt.tweak))
			if !errors.Is(err, tt.want) || err != nil && y != 0 {
				t.Errorf("Encrypt = %d, %v; want %v", y, err, tt.want)
			}
			y, err = c.Decrypt(tt.x, tt.digits, make([]byte, tt.tweak))
			if !errors.Is(err, tt.want) || err != nil && y != 0 {
				t.Errorf("Decrypt = %d, %v; want %v", y, err, tt.want)
			}
		})
	}
}

// drawCase draws a key, a tweak long enough to fill several blocks, a length and a number of that length; the edges of
// the length's range come up as often as its middle.
func drawCase(t *rapid.T) (key, tweak []byte, digits int, x uint64) {
	key = make([]byte, rapid.SampledFrom([]int{16, 24, 32}).Draw(t, "key size"))
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, rapid.Uint64().Draw(t, "key seed")))
	copy(key, sum[:])
	tweak = rapid.SliceOfN(rapid.Byte(), 0, 70).Draw(t, "tweak")
	digits = rapid.IntRange(ff1.MinDigits, ff1.MaxDigits).Draw(t, "digits")
	x = rapid.Uint64Range(0, uint64(math.Pow10(digits))-1).Draw(t, "x")
	return key, tweak, digits, x
}

func TestEqualsTheReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, tweak, digits, x := drawCase(t)
		c, err := ff1.New(key)
		if err != nil {
			t.Fatal(err)
		}
		want, err := reference(false, key, tweak, fmt.Sprintf("%0*d", digits, x))
		if err != nil {
			t.Fatal(err)
		}
		y, err := c.Encrypt(x, digits, tweak)
		if err != nil || fmt.Sprintf("%0*d", digits, y) != want {
			t.Fatalf("Encrypt = %0*d, %v; the reference says %s", digits, y, err, want)
		}
		if back, err := c.Decrypt(y, digits, tweak); err != nil || back != x {
			t.Fatalf("Decrypt = %d, %v; want %d", back, err, x)
		}
	})
}

// Whether the tweak's tail shares the last block with the round number is a matter of single bytes, so every tweak
// length of four blocks meets every number length.
func TestEqualsTheReferenceAtEveryTweakLength(t *testing.T) {
	key := []byte("0123456789abcdef")
	c := mustNew(t, key)
	for digits := ff1.MinDigits; digits <= ff1.MaxDigits; digits++ {
		for n := range 65 {
			tweak := make([]byte, n)
			for i := range tweak {
				tweak[i] = byte(i + 1)
			}
			x := uint64(math.Pow10(digits)) - 1
			want, err := reference(false, key, tweak, strconv.FormatUint(x, 10))
			if err != nil {
				t.Fatal(err)
			}
			y, err := c.Encrypt(x, digits, tweak)
			if got := fmt.Sprintf("%0*d", digits, y); err != nil || got != want {
				t.Errorf("%d digits, tweak of %d bytes: %s, %v; want %s", digits, n, got, err, want)
			}
		}
	}
}

func TestIsABijectionOfSixDigits(t *testing.T) {
	c := mustNew(t, []byte("0123456789abcdef"))
	seen := make([]bool, 1_000_000)
	for x := range uint64(len(seen)) {
		y, err := c.Encrypt(x, 6, nil)
		if err != nil {
			t.Fatal(err)
		}
		if seen[y] {
			t.Fatalf("%06d comes up twice", y)
		}
		seen[y] = true
	}
}

func TestKeyAndTweakAreUsed(t *testing.T) {
	a, b := mustNew(t, []byte("0123456789abcdef")), mustNew(t, []byte("0123456789abcdeg"))
	inputs := []struct {
		name  string
		c     *ff1.Cipher
		tweak []byte
	}{
		{"first", a, []byte{0}},
		{"other key", b, []byte{0}},
		{"other tweak", a, []byte{1}},
		{"longer tweak", a, []byte{0, 0}},
		{"no tweak", a, nil},
		{"tweak of two blocks", a, make([]byte, 32)},
	}
	seen := map[uint64]string{}
	for _, in := range inputs {
		y, err := in.c.Encrypt(1, 18, in.tweak)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[y]; ok {
			t.Errorf("%s and %s encrypt alike", in.name, other)
		}
		seen[y] = in.name
	}
}

func TestIsSafeForConcurrentUse(t *testing.T) {
	c := mustNew(t, []byte("0123456789abcdef"))
	var wg sync.WaitGroup
	for g := range uint64(8) {
		wg.Go(func() {
			for x := range uint64(500) {
				y, err := c.Encrypt(x, 12, []byte{byte(g)})
				back, backErr := c.Decrypt(y, 12, []byte{byte(g)})
				if err := errors.Join(err, backErr); err != nil || back != x {
					t.Errorf("goroutine %d: %d comes back as %d, %v", g, x, back, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// The first words of AES's expanded key are the key itself.
func TestPrintsNoKey(t *testing.T) {
	key := []byte("0123456789abcdef")
	c := mustNew(t, key)
	holder := struct{ c *ff1.Cipher }{c}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%t", "%p"} {
		for _, v := range []any{c, holder, &holder, []any{c}} {
			printed := fmt.Sprintf(verb, v)
			for word := range slices.Chunk(key, 4) {
				w := binary.NativeEndian.Uint32(word)
				swapped := bits.ReverseBytes32(w)
				for _, form := range []string{fmt.Sprint(w), fmt.Sprint(swapped), fmt.Sprintf("%x", w), fmt.Sprintf("%x", swapped), string(word)} {
					if strings.Contains(strings.ToLower(printed), form) {
						t.Fatalf("%s of %T prints the key: %s", verb, v, printed)
					}
				}
			}
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), []byte{}, uint64(123456789), 10)
	f.Add(make([]byte, 32), []byte("9876543210"), uint64(9_999_999_999_999_999_999), 19)
	f.Add(make([]byte, 24), make([]byte, 40), uint64(0), 6)
	f.Add([]byte("short"), []byte{1}, uint64(math.MaxUint64), 20)
	f.Fuzz(func(t *testing.T, key, tweak []byte, x uint64, digits int) {
		c, err := ff1.New(key)
		if err != nil {
			return
		}
		y, err := c.Encrypt(x, digits, tweak)
		inDomain := digits >= ff1.MinDigits && digits <= ff1.MaxDigits && x < uint64(math.Pow10(digits)) && len(tweak) <= ff1.MaxTweak
		if (err == nil) != inDomain {
			t.Fatalf("in the domain: %t, error: %v", inDomain, err)
		}
		if err != nil {
			return
		}
		if y >= uint64(math.Pow10(digits)) {
			t.Fatalf("%d has more than %d digits", y, digits)
		}
		if back, err := c.Decrypt(y, digits, tweak); err != nil || back != x {
			t.Fatalf("%d comes back as %d, %v", x, back, err)
		}
	})
}
