package pan

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/cardvault/cardvault/crypto/secret"
)

// newShuffle lays out the order of a range of fewer than 10^6 numbers.
//
// The method is the Fisher–Yates shuffle in Durstenfeld's form (CACM 7(7), 1964, Algorithm 235; Knuth, The Art of
// Computer Programming, volume 2, section 3.4.2, Algorithm P). Given uniform and independent choices it yields each of
// the N! orders with the same probability, for every N: an observer of all numbers but the last two still has to guess.
// No network of rounds does that. FF1 must not be used here, and the swap-or-not shuffle (Hoang, Morris, Rogaway,
// CRYPTO 2012) bounds an adversary who sees a constant part of the numbers, not one who sees a small range run full.
//
// The choices come from AES-256-CTR, so what is lost against perfection is only the distance of AES-CTR from random
// over at most 4 MB of keystream. The stream's key is derived from the range's by HMAC-SHA-256 over a label, the size
// and the tweak; no stream is used for two orders.
func newShuffle(key secret.Bytes, size uint64, tweak []byte) (*Permutation, error) {
	draw, err := newStream(key, size, tweak)
	if err != nil {
		return nil, err
	}
	order := make([]uint32, size)
	for i := range order {
		order[i] = uint32(i)
	}
	// Algorithm P: from the last position down, swap with a position chosen among those not yet done and itself.
	for i := uint32(size) - 1; i > 0; i-- { //nolint:gosec // size is below 10^6
		j := draw.below(i + 1)
		order[i], order[j] = order[j], order[i]
	}
	return &Permutation{size: size, at: func(i uint64) uint64 { return uint64(order[i]) }}, nil
}

// stream is a source of uniform choices that key, size and tweak determine.
type stream struct {
	ctr  cipher.Stream
	left []byte // keystream not used yet
	buf  [4096]byte
}

func newStream(key secret.Bytes, size uint64, tweak []byte) (*stream, error) {
	mac := hmac.New(sha256.New, key.Reveal())
	// Label and size have a fixed length, so that no two inputs run into one another.
	_, _ = mac.Write([]byte("cardvault range shuffle v1\x00"))
	_, _ = mac.Write(binary.BigEndian.AppendUint64(nil, size))
	_, _ = mac.Write(tweak)
	derived := mac.Sum(nil)
	defer clear(derived)
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, errors.Join(ErrPermutationKey, err)
	}
	// The key serves for this one stream, so the counter may start at zero.
	return &stream{ctr: cipher.NewCTR(block, make([]byte, aes.BlockSize))}, nil //nolint:gosec // a key used once needs no random IV
}

// next returns the following 32 bits of keystream.
func (s *stream) next() uint32 {
	if len(s.left) == 0 {
		clear(s.buf[:])
		s.ctr.XORKeyStream(s.buf[:], s.buf[:])
		s.left = s.buf[:]
	}
	x := binary.BigEndian.Uint32(s.left)
	s.left = s.left[4:]
	return x
}

// below returns a uniform choice from 0 to n−1. What is at or beyond the largest multiple of n is drawn again, since
// its remainder would favour the low values.
func (s *stream) below(n uint32) uint32 {
	multiple := uint64(1<<32) / uint64(n) * uint64(n)
	for {
		if x := s.next(); uint64(x) < multiple {
			return x % n
		}
	}
}
