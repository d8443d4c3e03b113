package ff1_test

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"fmt"
	"math/big"
	"strings"
)

// reference is FF1 for radix 10 written as SP 800-38G writes it: numeral strings of any length, math/big, the whole PRF
// in every round, nothing shared between rounds. It is slow and allocates; it exists to be obviously the standard, so
// that Wycheproof's long messages test it and it tests the fast one on inputs that no vector has.
func reference(decrypt bool, key, tweak []byte, x string) (string, error) {
	n, t := len(x), len(tweak)
	u := n / 2
	v := n - u
	a, b := x[:u], x[u:]
	bytesB := (pow(v).BitLen() + 7) / 8 // ⌈⌈v·LOG2(10)⌉/8⌉, since 10^v has ⌈v·LOG2(10)⌉ bits
	d := 4*((bytesB+3)/4) + 4
	p := []byte{1, 2, 1, 0, 0, 10, 10, byte(u)}
	p = binary.BigEndian.AppendUint32(p, uint32(n))
	p = binary.BigEndian.AppendUint32(p, uint32(t))

	roundValue := func(i int, half string) (*big.Int, error) {
		q := bytes.Clone(tweak)
		q = append(q, make([]byte, (16-(t+bytesB+1)%16)%16)...)
		q = append(q, byte(i))
		q = append(q, num(half).FillBytes(make([]byte, bytesB))...)
		s, err := expand(key, append(bytes.Clone(p), q...), d)
		return new(big.Int).SetBytes(s), err
	}
	for k := range 10 {
		i := k
		if decrypt {
			i = 9 - k
		}
		m := u
		if i%2 == 1 {
			m = v
		}
		half, other := b, a
		if decrypt {
			half, other = a, b
		}
		y, err := roundValue(i, half)
		if err != nil {
			return "", err
		}
		c := num(other)
		if decrypt {
			a, b = str(c.Sub(c, y), m), a
		} else {
			a, b = b, str(c.Add(c, y), m)
		}
	}
	return a + b, nil
}

// expand is steps 6.ii and 6.iii: R = PRF(X), a CBC-MAC, and the first d bytes of R ‖ CIPH(R ⊕ [1]^16) ‖ …
func expand(key, x []byte, d int) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	r := make([]byte, 16)
	for ; len(x) > 0; x = x[16:] {
		for j := range r {
			r[j] ^= x[j]
		}
		block.Encrypt(r, r)
	}
	s := bytes.Clone(r)
	for j := uint64(1); len(s) < d; j++ {
		next := bytes.Clone(r)
		binary.BigEndian.PutUint64(next[8:], binary.BigEndian.Uint64(next[8:])^j)
		block.Encrypt(next, next)
		s = append(s, next...)
	}
	return s[:d], nil
}

func pow(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

func num(s string) *big.Int {
	x, ok := new(big.Int).SetString(s, 10)
	if !ok {
		panic(fmt.Sprintf("%q is no number", s))
	}
	return x
}

func str(x *big.Int, m int) string {
	s := x.Mod(x, pow(m)).String()
	return strings.Repeat("0", m-len(s)) + s
}
