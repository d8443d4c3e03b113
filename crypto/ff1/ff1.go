// Package ff1 encrypts decimal numbers into decimal numbers of the same length: the FF1 method of NIST SP 800-38G for
// radix 10.
//
// A number of n digits is a uint64 below 10^n; leading zeros count as digits. With n at most 19 every quantity of the
// standard fits in machine words: a half has at most ten digits (34 bits), and the round value y at most 96 bits. That
// makes one encryption eleven AES blocks and some integer arithmetic, with no math/big and no allocation.
//
// The smallest n is 6. The first edition of SP 800-38G recommends a domain of at least 1,000,000 numbers, and the drafts
// of Revision 1 (2019, 2025) require it: on smaller ones Feistel methods of this kind leak enough over many tweaks to
// recover messages (Hoang, Tessaro, Trieu, "The Curse of Small Domains", CRYPTO 2018).
package ff1

import (
	"crypto/aes"
	"errors"
	"math"
	"sync"
)

const (
	// MinDigits is the length of the shortest number that may be encrypted.
	MinDigits = 6
	// MaxDigits is the length of the longest number that may be encrypted: all of them fit in a uint64.
	MaxDigits = 19
	// MaxTweak is the length in bytes of the longest tweak (maxTlen of SP 800-38G, which leaves it to the implementer).
	MaxTweak = math.MaxUint16
)

// What the methods of [Cipher] refuse.
var (
	// ErrKey is returned by New if the key is not 16, 24 or 32 bytes.
	ErrKey = errors.New("ff1: key is not 16, 24 or 32 bytes")
	// ErrDigits is returned if the number of digits is not MinDigits to MaxDigits.
	ErrDigits = errors.New("ff1: digits is not 6 to 19")
	// ErrValue is returned if the number has more digits than it was said to have.
	ErrValue = errors.New("ff1: number does not fit its digits")
	// ErrTweak is returned if the tweak is longer than MaxTweak.
	ErrTweak = errors.New("ff1: tweak is longer than 65535 bytes")
)

// Cipher is FF1 for radix 10 under one AES key. It is safe for concurrent use.
type Cipher struct {
	// The block cipher is held as a function, because fmt never looks into one: "%s" of a struct with a cipher.Block in
	// it prints the expanded key.
	aes     aesBlock
	buffers sync.Pool // of *buffer
}

// aesBlock encrypts one AES block in place.
type aesBlock func(*buffer)

// buffer is one AES block. It comes from a pool because what goes through an interface method escapes to the heap.
type buffer [aes.BlockSize]byte

// New returns FF1 under an AES-128, AES-192 or AES-256 key. It keeps the expanded key, not the slice.
func New(key []byte) (*Cipher, error) {
	switch len(key) {
	case 16, 24, 32:
	default:
		return nil, ErrKey
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, ErrKey
	}
	return &Cipher{
		aes:     func(b *buffer) { block.Encrypt(b[:], b[:]) },
		buffers: sync.Pool{New: func() any { return new(buffer) }},
	}, nil
}

// Encrypt returns FF1.Encrypt(K, T, X) for the number x of so many decimal digits, SP 800-38G Algorithm 7.
func (c *Cipher) Encrypt(x uint64, digits int, tweak []byte) (uint64, error) {
	f, err := split(x, digits, tweak)
	if err != nil {
		return 0, err
	}
	buf := c.borrow()
	f.absorb(c.aes, buf, tweak)
	// Algorithm 7, step 6: for i from 0 to 9. Two rounds a turn: in the even one m is u, in the odd one v (step 6.v).
	for i := uint64(0); i < rounds; i += 2 {
		// Steps 6.vi to 6.ix: C = (NUM(A) + y) mod 10^m, then A = B, B = C.
		f.a, f.b = f.b, add(f.a, f.y(c.aes, buf, i, f.b, f.modU), f.modU)
		f.a, f.b = f.b, add(f.a, f.y(c.aes, buf, i+1, f.b, f.modV), f.modV)
	}
	c.giveBack(buf)
	return f.join(), nil
}

// Decrypt returns FF1.Decrypt(K, T, X) for the number x of so many decimal digits, SP 800-38G Algorithm 8: the number
// that Encrypt turns into x under the same tweak.
func (c *Cipher) Decrypt(x uint64, digits int, tweak []byte) (uint64, error) {
	f, err := split(x, digits, tweak)
	if err != nil {
		return 0, err
	}
	buf := c.borrow()
	f.absorb(c.aes, buf, tweak)
	// Algorithm 8, step 6: for i from 9 to 0. Two rounds a turn: in the odd one m is v, in the even one u (step 6.v).
	for i := uint64(rounds); i > 0; i -= 2 {
		// Steps 6.vi to 6.ix: C = (NUM(B) - y) mod 10^m, then B = A, A = C.
		f.b, f.a = f.a, sub(f.b, f.y(c.aes, buf, i-1, f.a, f.modV), f.modV)
		f.b, f.a = f.a, sub(f.b, f.y(c.aes, buf, i-2, f.a, f.modU), f.modU)
	}
	c.giveBack(buf)
	return f.join(), nil
}

// borrow returns a buffer that no other call uses.
func (c *Cipher) borrow() *buffer {
	buf, ok := c.buffers.Get().(*buffer)
	if !ok {
		return new(buffer)
	}
	return buf
}

// giveBack returns a buffer to the pool without what the call left in it.
func (c *Cipher) giveBack(buf *buffer) {
	clear(buf[:])
	c.buffers.Put(buf)
}
