package audit

import (
	"encoding/binary"
	"errors"
)

// ErrBundle is returned by ParseBundle if the bytes are no entry bundle.
var ErrBundle = errors.New("malformed entry bundle")

// AppendBundle appends a body to an entry bundle: its length as a big-endian
// uint16, and itself (C2SP tlog-tiles, "Log entries"). The body is at most MaxBody
// bytes.
func AppendBundle(bundle, body []byte) []byte {
	bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(body))) //nolint:gosec // MaxBody fits
	return append(bundle, body...)
}

// ParseBundle returns the bodies of an entry bundle; they share its memory. An
// empty body stands for one that was dropped.
func ParseBundle(bundle []byte) ([][]byte, error) {
	var bodies [][]byte
	for len(bundle) > 0 {
		if len(bundle) < 2 {
			return nil, ErrBundle
		}
		n := 2 + int(binary.BigEndian.Uint16(bundle))
		if len(bundle) < n || len(bodies) == TileWidth {
			return nil, ErrBundle
		}
		bodies, bundle = append(bodies, bundle[2:n:n]), bundle[n:]
	}
	return bodies, nil
}
