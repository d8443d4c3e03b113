package pan_test

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/crypto/ff1"
	"github.com/cardvault/cardvault/crypto/secret"
	"github.com/cardvault/cardvault/tokenizer/pan"
)

// testKey returns a 32-byte key that differs from n to n.
func testKey(n uint64) secret.Bytes {
	return secret.New(binary.BigEndian.AppendUint64(bytes.Repeat([]byte{0x5a}, 24), n))
}

func mustPermute(tb testing.TB, key secret.Bytes, size uint64, tweak string) *pan.Permutation {
	tb.Helper()
	p, err := pan.NewPermutation(key, size, []byte(tweak))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// Every number comes up exactly once, to the last: small sizes, 10^n and its neighbours, primes, powers of two, both
// sides of the change of method, and sizes that make the walk long.
func TestPermutationIsABijection(t *testing.T) {
	sizes := []uint64{
		1, 2, 3, 7, 9, 10, 11, 97, 100, 255, 256, 257, 1000, 9999, 10_000, 10_007, 65_535, 65_536, 65_537, 99_991, 100_000,
		123_457, 524_288, 999_983, 999_999, 1_000_000, 1_234_567,
	}
	for _, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			p := mustPermute(t, testKey(1), size, "range")
			seen := make([]bool, size)
			for i := range size {
				x := p.At(i)
				if x >= size || seen[x] {
					t.Fatalf("At(%d) = %d: outside, or a second time", i, x)
				}
				seen[x] = true
			}
		})
	}
}

func TestPermutationOfAnySizeIsABijection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Uint64Range(1, 3000).Draw(t, "size")
		tweak := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "tweak")
		p, err := pan.NewPermutation(testKey(rapid.Uint64().Draw(t, "key")), size, tweak)
		if err != nil {
			t.Fatal(err)
		}
		order := make([]uint64, size)
		for i := range order {
			order[i] = p.At(uint64(i))
		}
		slices.Sort(order)
		for i, x := range order {
			if x != uint64(i) {
				t.Fatalf("%d is missing", i)
			}
		}
	})
}

// Large sizes cannot be walked through; distinct positions must still get distinct numbers, all inside.
func TestLargePermutationIsInjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Uint64Range(1_000_000, 1_000_000_000_000_000_000).Draw(t, "size")
		p, err := pan.NewPermutation(testKey(2), size, []byte("range"))
		if err != nil {
			t.Fatal(err)
		}
		at := map[uint64]uint64{}
		for _, i := range rapid.SliceOfN(rapid.Uint64Range(0, size-1), 1, 20).Draw(t, "positions") {
			at[p.At(i)] = i
			if x := p.At(i); x >= size || at[x] != i {
				t.Fatalf("At(%d) = %d, size %d, already at %d", i, x, size, at[x])
			}
		}
	})
}

// The order of a range in use must never change, or numbers are handed out twice. A change here needs a new version of
// the order beside the old one, not new numbers in this table. (The shuffled ones were computed a second time outside
// this code, from HMAC-SHA-256, OpenSSL's AES-256-CTR and Algorithm P.)
func TestOrderIsPinned(t *testing.T) {
	tests := []struct {
		size uint64
		want []uint64 // the first positions
	}{
		{10, []uint64{8, 1, 4, 0, 9, 3}},
		{10_000, []uint64{3848, 6184, 5386, 2138, 4436, 5790}},
		{999_999, []uint64{140866, 160659, 163075, 152673, 140165, 434338}},
		{1_000_000, []uint64{163406, 553080, 563262, 559511, 714294, 956439}},
		{1_234_567, []uint64{672384, 200376, 816458, 530401, 1048287, 212774}},
		{1_000_000_000, []uint64{581016386, 943539192, 700641292, 875844384, 432141777, 561353217}},
	}
	for _, tt := range tests {
		p := mustPermute(t, testKey(1), tt.size, "range 7, epoch 1")
		var got []uint64
		for i := range uint64(6) {
			got = append(got, p.At(i))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("size %d begins with %d, want %d", tt.size, got, tt.want)
		}
	}
}

func TestLargePermutationIsFF1WithCycleWalking(t *testing.T) {
	key := testKey(3)
	cipher, err := ff1.New(key.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		size   uint64
		digits int
	}{{1_000_000, 6}, {1_000_001, 7}, {1_234_567, 7}, {1_000_000_000, 9}, {1_000_000_000_000_000_000, 18}}
	for _, tt := range tests {
		p := mustPermute(t, key, tt.size, "tweak")
		for i := range uint64(100) {
			want := tt.size
			for x := i; want >= tt.size; x = want {
				if want, err = cipher.Encrypt(x, tt.digits, []byte("tweak")); err != nil {
					t.Fatal(err)
				}
			}
			if got := p.At(i); got != want {
				t.Errorf("size %d: At(%d) = %d, want %d", tt.size, i, got, want)
			}
		}
	}
}

func TestKeyTweakAndSizeMakeTheOrder(t *testing.T) {
	for _, size := range []uint64{1000, 2_000_000} {
		base := mustPermute(t, testKey(1), size, "range 1")
		others := map[string]*pan.Permutation{
			"other key":    mustPermute(t, testKey(2), size, "range 1"),
			"other tweak":  mustPermute(t, testKey(1), size, "range 2"),
			"longer tweak": mustPermute(t, testKey(1), size, "range 1\x00"),
			"no tweak":     mustPermute(t, testKey(1), size, ""),
		}
		if size < 1_000_000 {
			others["other size"] = mustPermute(t, testKey(1), size+1, "range 1")
		}
		for name, other := range others {
			same := 0
			for i := range uint64(500) {
				if base.At(i) == other.At(i) {
					same++
				}
			}
			// Two random orders of 1000 agree in half a position of 500 on average.
			if same > 10 {
				t.Errorf("size %d, %s: %d of 500 positions are the same", size, name, same)
			}
		}
		again := mustPermute(t, testKey(1), size, "range 1")
		for i := range uint64(500) {
			if base.At(i) != again.At(i) {
				t.Fatalf("size %d: the same key and tweak give another order", size)
			}
		}
	}
}

// All 24 orders of four numbers must come up alike. The keys are fixed, so the test is: it cannot fail by chance.
func TestSmallOrdersAreUniform(t *testing.T) {
	const keys, orders = 24_000, 24
	count := map[[4]uint64]int{}
	for k := range uint64(keys) {
		p := mustPermute(t, testKey(k), 4, "")
		count[[4]uint64{p.At(0), p.At(1), p.At(2), p.At(3)}]++
	}
	if len(count) != orders {
		t.Fatalf("%d orders come up, want %d", len(count), orders)
	}
	chi2 := 0.0
	for _, n := range count {
		d := float64(n) - keys/orders
		chi2 += d * d / (keys / orders)
	}
	// χ² with 23 degrees of freedom exceeds 49.7 for one key set in a thousand.
	if chi2 > 49.7 {
		t.Errorf("χ² = %.1f over 24 orders", chi2)
	}
}

func TestPositionsBeyondTheEnd(t *testing.T) {
	r := pan.Range{Prefix: "99999912345", Length: 16}
	for _, size := range []uint64{1, 10_000, 1_000_000} {
		p := mustPermute(t, testKey(1), size, "")
		for _, i := range []uint64{size, size + 1, math.MaxUint64} {
			if got := p.At(i); !r.At(got).IsZero() {
				t.Errorf("size %d: position %d has the number %d", size, i, got)
			}
		}
	}
	if got := new(pan.Permutation).At(0); !r.At(got).IsZero() {
		t.Errorf("the zero Permutation has the number %d", got)
	}
}

func TestNewPermutationRefuses(t *testing.T) {
	tests := []struct {
		name  string
		key   secret.Bytes
		size  uint64
		tweak int
		want  error
	}{
		{"no key", secret.Bytes{}, 10, 0, pan.ErrPermutationKey},
		{"short key", secret.New(make([]byte, 15)), 10, 0, pan.ErrPermutationKey},
		{"long key, large", secret.New(make([]byte, 33)), 1_000_000, 0, pan.ErrPermutationKey},
		{"AES-128", secret.New(make([]byte, 16)), 10, 0, nil},
		{"AES-192", secret.New(make([]byte, 24)), 1_000_000, 0, nil},
		{"nothing", testKey(1), 0, 0, pan.ErrPermutationSize},
		{"too much", testKey(1), 1_000_000_000_000_000_001, 0, pan.ErrPermutationSize},
		{"longest tweak", testKey(1), 1_000_000, ff1.MaxTweak, nil},
		{"tweak too long", testKey(1), 10, ff1.MaxTweak + 1, pan.ErrPermutationTweak},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := pan.NewPermutation(tt.key, tt.size, make([]byte, tt.tweak))
			if !errors.Is(err, tt.want) || (err == nil) == (p == nil) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestPermutationKeepsNeitherKeyNorTweak(t *testing.T) {
	for _, size := range []uint64{1000, 2_000_000} {
		key, tweak := bytes.Repeat([]byte{7}, 32), []byte("range")
		p, err := pan.NewPermutation(secret.New(key), size, tweak)
		if err != nil {
			t.Fatal(err)
		}
		before := []uint64{p.At(0), p.At(1), p.At(2)}
		clear(key)
		clear(tweak)
		if after := []uint64{p.At(0), p.At(1), p.At(2)}; !slices.Equal(before, after) {
			t.Errorf("size %d: the order changes with the caller's key or tweak", size)
		}
	}
}

func TestPermutationPrintsNothingSecret(t *testing.T) {
	key := testKey(1)
	small, large := mustPermute(t, key, 1000, ""), mustPermute(t, key, 2_000_000, "")
	first := fmt.Sprintf("%d %d", small.At(0), small.At(1))
	word := fmt.Sprint(binary.NativeEndian.Uint32(key.Reveal()[:aes.BlockSize]))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%t"} {
		for _, v := range []any{small, large, *small, struct{ p *pan.Permutation }{small}, struct{ p pan.Permutation }{*large}} {
			if printed := fmt.Sprintf(verb, v); strings.Contains(printed, first) || strings.Contains(printed, word) {
				t.Errorf("%s of %T prints the order or the key", verb, v)
			}
		}
	}
}

func TestPermutationIsSafeForConcurrentUse(t *testing.T) {
	for _, size := range []uint64{1000, 2_000_000} {
		p := mustPermute(t, testKey(1), size, "")
		want := p.At(1)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 200 {
					if p.At(1) != want {
						t.Error("another answer")
						return
					}
				}
			})
		}
		wg.Wait()
	}
}

func BenchmarkPermutation(b *testing.B) {
	for _, size := range []uint64{10_000, 1_000_000, 1_000_000_000, 1_000_000_001, 1_000_000_000_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			p := mustPermute(b, testKey(1), size, "range 7, epoch 1")
			b.ReportAllocs()
			i := uint64(0)
			for b.Loop() {
				i = p.At(i)
			}
		})
	}
}

func BenchmarkNewPermutation(b *testing.B) {
	for _, size := range []uint64{10_000, 999_999, 1_000_000_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mustPermute(b, testKey(1), size, "")
			}
		})
	}
}

func BenchmarkRangeAt(b *testing.B) {
	r := pan.Range{Prefix: "999999", Length: 16}
	b.ReportAllocs()
	for b.Loop() {
		_ = r.At(123_456_789)
	}
}
