package envelope

import "math/bits"

// Bind encodes a label and its parts so that no two different lists of parts
// give the same bytes: neither ("ab", "c") and ("a", "bc") nor ("a") and
// ("a", "") can be taken for each other.
//
// A label names the use and its format version, such as "cardvault/card/v1",
// so that bytes bound for one use are never valid for another.
//
// Every element is written as encode_string of NIST SP 800-185 §2.3.2, the
// encoding that TupleHash (§5) uses for the same purpose.
func Bind(label string, parts ...[]byte) []byte {
	return AppendBind(nil, label, parts...)
}

// AppendBind appends the encoding of Bind to dst and returns the extended slice.
func AppendBind(dst []byte, label string, parts ...[]byte) []byte {
	dst = appendString(dst, label)
	for _, part := range parts {
		dst = appendString(dst, part)
	}
	return dst
}

// SP 800-185 §2.3.2: encode_string(S) = left_encode(len(S)) || S, len in bits.
func appendString[S string | []byte](dst []byte, s S) []byte {
	dst = appendLength(dst, uint64(len(s))*8)
	return append(dst, s...)
}

// SP 800-185 §2.3.1: left_encode(x) is the number of bytes of x, one at least,
// and then those bytes, the most significant first.
func appendLength(dst []byte, x uint64) []byte {
	n := max(1, (bits.Len64(x)+7)/8)
	dst = append(dst, byte(n&0xff))
	for i := n - 1; i >= 0; i-- {
		dst = append(dst, byte(x>>(8*i)&0xff))
	}
	return dst
}
