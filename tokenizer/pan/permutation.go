package pan

import (
	"errors"
	"math"

	"github.com/cardvault/cardvault/crypto/ff1"
	"github.com/cardvault/cardvault/crypto/secret"
)

// What NewPermutation refuses.
var (
	// ErrPermutationKey is returned if the key is not 16, 24 or 32 bytes.
	ErrPermutationKey = errors.New("pan: permutation key is not 16, 24 or 32 bytes")
	// ErrPermutationSize is returned if the size is 0 or more than 10^18.
	ErrPermutationSize = errors.New("pan: permutation size is not 1 to 10^18")
	// ErrPermutationTweak is returned if the tweak is too long for FF1 (ff1.MaxTweak bytes).
	ErrPermutationTweak = errors.New("pan: permutation tweak is too long")
)

const (
	// ff1Size is the smallest domain of FF1, 10^ff1.MinDigits; below it a range is shuffled.
	ff1Size = 1_000_000
	// maxSize is more than the largest range holds: its 18 digits before the check digit include a prefix.
	maxSize = 1_000_000_000_000_000_000
	// outside is a number of no range.
	outside = math.MaxUint64
)

// Permutation is the secret order in which the numbers of a range are handed out: a bijection on 0 to size−1, fixed by
// key, size and tweak. Counting i upwards and issuing At(i) hands out each number exactly once, to the last one, and
// whoever does not have the key cannot tell the next from a random choice among those left.
//
// There are two methods, because no single one is both proven at small sizes and fast at large ones:
//
//   - From 10^6 numbers on: FF1, NIST SP 800-38G, on as many digits as the size needs, with cycle walking (Black and
//     Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002): what falls outside the range is encrypted again
//     until it falls inside. The walk follows a cycle of a permutation that began inside, so it ends, after fewer than
//     ten steps on average. Below 10^6 the standard forbids FF1.
//   - Below: a Fisher–Yates shuffle with the keystream of AES-256-CTR for its choices. See newShuffle.
//
// The order must never change for a range in use: numbers already issued would be handed out again. Key, tweak and
// size belong to the range for life; a new order for the same numbers needs another epoch in the tweak and a counter
// that starts where all of them are known.
//
// A Permutation is immutable and safe for concurrent use.
type Permutation struct {
	size uint64
	// at is a function so that fmt, which never looks into one, cannot print the table or the key schedule behind it.
	at func(uint64) uint64
}

// NewPermutation returns the order that key and tweak give to a range of so many numbers. The tweak is public and must
// differ from range to range under one key. Below 10^6 numbers the order is laid out at once, which takes time and four
// bytes of memory per number: at most a few milliseconds and 4 MB. The key is not kept.
func NewPermutation(key secret.Bytes, size uint64, tweak []byte) (*Permutation, error) {
	switch {
	case key.Len() != 16 && key.Len() != 24 && key.Len() != 32:
		return nil, ErrPermutationKey
	case size == 0 || size > maxSize:
		return nil, ErrPermutationSize
	case len(tweak) > ff1.MaxTweak:
		return nil, ErrPermutationTweak
	case size < ff1Size:
		return newShuffle(key, size, tweak)
	}
	return newWalk(key, size, tweak)
}

// At returns the number at position i. From the position size on, and for the zero Permutation always, that is the
// largest uint64, a number of no range: [Range.At] answers it with the zero PAN, which nobody can issue.
func (p *Permutation) At(i uint64) uint64 {
	if i >= p.size {
		return outside
	}
	return p.at(i)
}

// newWalk returns FF1 with cycle walking, for a size of 10^6 and more.
func newWalk(key secret.Bytes, size uint64, tweak []byte) (*Permutation, error) {
	cipher, err := ff1.New(key.Reveal())
	if err != nil {
		return nil, ErrPermutationKey
	}
	digits := ff1.MinDigits
	for pow10(digits) < size {
		digits++
	}
	tweak = append([]byte(nil), tweak...) // the caller's slice may change, the order may not
	at := func(i uint64) uint64 {
		for {
			next, err := cipher.Encrypt(i, digits, tweak)
			if err != nil {
				// Impossible: i is below 10^digits, and digits and tweak are in bounds. Were it not, no number at all would
				// be better than one that is not FF1's.
				return outside
			}
			if next < size {
				return next
			}
			i = next
		}
	}
	return &Permutation{size: size, at: at}, nil
}
