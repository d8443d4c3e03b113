package ship

import (
	"encoding/base64"
	"strconv"
)

// AppendJSON appends the entry as it was hashed, with its index:
//
//	{"index":7,"entry":{"v":1,...}}
//
// The bytes after "entry": and before the last brace are the leaf of the Merkle
// tree. An entry that was dropped has its leaf hash instead, in base64:
//
//	{"index":7,"entry":null,"leaf_hash":"..."}
func AppendJSON(dst []byte, e *Event) []byte {
	dst = append(dst, `{"index":`...)
	dst = strconv.AppendInt(dst, e.Index, 10)
	if e.Dropped() {
		dst = append(dst, `,"entry":null,"leaf_hash":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, e.Leaf[:])
		return append(dst, `"}`...)
	}
	dst = append(dst, `,"entry":`...)
	dst = append(dst, e.Body...)
	return append(dst, '}')
}
