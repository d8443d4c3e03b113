package audit

import (
	"crypto/sha256"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// A zero hash is one that is not known. What is computed from it is not known either.

// Subtree returns the hash of the perfect tree over hashes; their number is a power
// of two.
func Subtree(hashes []Hash) Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	half := len(hashes) / 2
	return node(Subtree(hashes[:half]), Subtree(hashes[half:]))
}

// Root returns the hash of the tree whose right edge these are: for each level, from
// the leaves up, the hashes of the tile that is not full yet.
//
// RFC 6962 §2.1 splits a tree at the largest power of two below its size, again and
// again: into perfect subtrees that get smaller to the right, joined from the right.
func Root(edge [][]Hash) Hash {
	var root Hash
	found := false
	for _, hashes := range edge {
		for len(hashes) > 0 {
			left := len(hashes) & (len(hashes) - 1)
			perfect := Subtree(hashes[left:])
			if found {
				perfect = node(perfect, root)
			}
			root, found, hashes = perfect, true, hashes[:left]
		}
	}
	if !found {
		return sha256.Sum256(nil) // MTH({}) = SHA-256()
	}
	return root
}

func node(left, right Hash) Hash {
	if left == (Hash{}) || right == (Hash{}) {
		return Hash{}
	}
	return tlog.NodeHash(left, right)
}

// TileData returns the content of a tile of hashes (C2SP tlog-tiles, "Merkle Tree").
func TileData(hashes []Hash) []byte {
	data := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		data = append(data, h[:]...)
	}
	return data
}

// TileHashes returns the hashes of a tile's content, which is whole ones.
func TileHashes(data []byte) []Hash {
	hashes := make([]Hash, 0, len(data)/tlog.HashSize)
	for chunk := range slices.Chunk(data, tlog.HashSize) {
		hashes = append(hashes, Hash(chunk))
	}
	return hashes
}
