package pan

import (
	"encoding/binary"
	"errors"
)

// PackedSize is the number of bytes of a packed PAN, the same for every length, so that neither a ciphertext nor a
// fingerprint's input tells the length of the PAN in it.
const PackedSize = 9

// ErrPacked is returned by Unpack if the bytes are not exactly what Pack makes of some PAN.
var ErrPacked = errors.New("pan: packed form is malformed")

// Pack returns the PAN as bytes to be sealed or hashed: its length in one byte, then its number in eight, big-endian.
// Equal bytes mean equal PANs. The zero PAN packs as zeros, which Unpack refuses.
func (p PAN) Pack() [PackedSize]byte {
	var b [PackedSize]byte
	b[0] = p.length
	binary.BigEndian.PutUint64(b[1:], p.Number())
	return b
}

// Unpack returns the PAN of which b is the packed form, or ErrPacked. It checks length, value and check digit again,
// so that bytes opened with a wrong key, or written by something else, never become a PAN.
func Unpack(b []byte) (PAN, error) {
	if len(b) != PackedSize {
		return PAN{}, ErrPacked
	}
	p, err := FromNumber(binary.BigEndian.Uint64(b[1:]), int(b[0]))
	if err != nil {
		return PAN{}, ErrPacked
	}
	return p, nil
}
