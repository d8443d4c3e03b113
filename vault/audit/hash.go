package audit

import (
	"crypto/sha256"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a SHA-256 hash: a leaf, a node or the root of a Merkle tree. Its String
// is base64, as bodies and checkpoints write it.
type Hash = tlog.Hash

// LeafHash returns a body's hash as a leaf of a Merkle tree:
//
//	MTH({d(0)}) = SHA-256(0x00 || d(0))		// RFC 6962 §2.1
//
// The byte in front keeps leaves and inner nodes apart, so that no body can pass
// for a node of the tree.
func LeafHash(body []byte) Hash {
	buf := make([]byte, 0, 1024) // stays on the stack: most bodies fit
	buf = append(buf, 0x00)
	return sha256.Sum256(append(buf, body...))
}
