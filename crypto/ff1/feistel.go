package ff1

import (
	"crypto/aes"
	"encoding/binary"
	"math"
	"math/bits"
)

const (
	radix  = 10
	rounds = 10
)

// feistel is the state of one encryption or decryption, in the letters of SP 800-38G, Algorithms 7 and 8.
type feistel struct {
	u, v       int    // digits in A and B at the start
	modU, modV uint64 // 10^u and 10^v
	a, b       uint64 // NUM(A) and NUM(B)
	bytes      int    // b of the standard, the bytes that NUM(B) takes
	wide       bool   // whether d, the bytes of S, is 12 rather than 8

	// The PRF is a CBC-MAC over P ‖ Q. Of that only the round number and NUM(B), in the last bytes of the last block,
	// change from round to round. hi and lo are the rest of the last block, already xored with the MAC of all before it.
	hi, lo uint64
}

// split checks the input and cuts it in halves.
func split(x uint64, digits int, tweak []byte) (feistel, error) {
	switch {
	case digits < MinDigits || digits > MaxDigits:
		return feistel{}, ErrDigits
	case x >= pow10(digits):
		return feistel{}, ErrValue
	case len(tweak) > MaxTweak:
		return feistel{}, ErrTweak
	}
	// Step 1: u = ⌊n/2⌋, v = n − u.
	u := digits / 2
	v := digits - u
	f := feistel{u: u, v: v, modU: pow10(u), modV: pow10(v)}
	// Step 2: A = X[1..u], B = X[u+1..n].
	f.a, f.b = x/f.modV, x%f.modV
	// Step 3: b = ⌈⌈v·LOG2(radix)⌉/8⌉. The bits of 10^v−1 are that many, as 10^v is no power of two.
	f.bytes = (bits.Len64(f.modV-1) + 7) / 8
	// Step 4: d = 4⌈b/4⌉ + 4, which is 8 for up to nine digits and 12 for ten.
	f.wide = f.bytes > 4
	return f, nil
}

// absorb runs the PRF's CBC-MAC over everything that is the same in all rounds: P and Q without its last bytes.
func (f *feistel) absorb(encrypt aesBlock, buf *buffer, tweak []byte) {
	// Step 5: P = [1] ‖ [2] ‖ [1] ‖ [radix]³ ‖ [10] ‖ [u mod 256] ‖ [n]⁴ ‖ [t]⁴.
	binary.BigEndian.PutUint64(buf[:8], 1<<56|2<<48|1<<40|radix<<16|rounds<<8|uint64(f.u)) //nolint:gosec // u is 3 to 9
	binary.BigEndian.PutUint64(buf[8:], uint64(f.u+f.v)<<32|uint64(len(tweak)))            //nolint:gosec // n is 6 to 19
	encrypt(buf)

	// Step 6.i: Q = T ‖ [0]^((−t−b−1) mod 16) ‖ [i] ‖ [NUM(B)]^b. First the whole blocks of T.
	for len(tweak) >= aes.BlockSize {
		xorInto(buf, tweak[:aes.BlockSize])
		encrypt(buf)
		tweak = tweak[aes.BlockSize:]
	}
	xorInto(buf, tweak)
	// What is left of T shares the last block with [i] ‖ [NUM(B)] if all fit; else zeros fill its block up.
	if len(tweak)+1+f.bytes > aes.BlockSize {
		encrypt(buf)
	}
	f.hi, f.lo = binary.BigEndian.Uint64(buf[:8]), binary.BigEndian.Uint64(buf[8:])
}

// y returns the round value y modulo m, for round i and the half that the round function reads.
func (f *feistel) y(encrypt aesBlock, buf *buffer, i, half, m uint64) uint64 {
	// Step 6.ii: R = PRF(P ‖ Q), of which the last block is still to do.
	binary.BigEndian.PutUint64(buf[:8], f.hi)
	binary.BigEndian.PutUint64(buf[8:], f.lo^i<<(8*f.bytes)^half)
	encrypt(buf)
	// Step 6.iii: S is the first d bytes of R; as d is at most 16, nothing follows R.
	// Step 6.iv: y = NUM(S).
	s := binary.BigEndian.Uint64(buf[:8])
	if !f.wide {
		return s % m
	}
	return bits.Rem64(s>>32, s<<32|uint64(binary.BigEndian.Uint32(buf[8:12])), m)
}

// join returns A ‖ B, step 7: after an even number of rounds A and B have their first lengths again.
func (f *feistel) join() uint64 { return f.a*f.modV + f.b }

// add returns (a + b) mod m for a and b below m; m is at most 10^10, so the sum does not overflow.
func add(a, b, m uint64) uint64 {
	if c := a + b; c < m {
		return c
	}
	return a + b - m
}

// sub returns (a − b) mod m for a and b below m.
func sub(a, b, m uint64) uint64 {
	if a >= b {
		return a - b
	}
	return a + m - b
}

// xorInto xors b, of at most a block, into the first bytes of buf.
func xorInto(buf *buffer, b []byte) {
	for i, x := range b {
		buf[i] ^= x
	}
}

// pow10 returns 10^n. For n up to 22 a float64 holds the power exactly.
func pow10(n int) uint64 { return uint64(math.Pow10(n)) }
