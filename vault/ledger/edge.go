package ledger

import (
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// edge is the right edge of a tree: all that extending it and its root need. It is
// a value; extend leaves the shorter one as it was.
type edge struct {
	size int64
	// open has, level by level, the hashes of the tile that is not full yet.
	open [][]audit.Hash
}

// edgeTiles returns the tiles that an edge consists of, one a level at most.
func edgeTiles(size int64) []tlog.Tile {
	var tiles []tlog.Tile
	for level, n := 0, size; n > 0; level, n = level+1, n>>audit.TileHeight {
		if w := int(n % audit.TileWidth); w > 0 {
			tiles = append(tiles, tlog.Tile{H: audit.TileHeight, L: level, N: n >> audit.TileHeight, W: w})
		}
	}
	return tiles
}

// newEdge makes an edge of the hashes of its tiles.
func newEdge(size int64, tiles []tlog.Tile, hashes [][]byte) edge {
	e := edge{size: size}
	for i, tile := range tiles {
		for len(e.open) <= tile.L {
			e.open = append(e.open, nil)
		}
		e.open[tile.L] = audit.TileHashes(hashes[i])
	}
	return e
}

// root returns the Merkle tree hash.
func (e edge) root() audit.Hash { return audit.Root(e.open) }

// extend returns the edge behind more leaves, and the tiles that they change,
// whole.
func (e edge) extend(leaves []audit.Hash) (edge, []Tile) {
	next := edge{size: e.size + int64(len(leaves))}
	var tiles []Tile
	for level, added := 0, leaves; level < len(e.open) || len(added) > 0; level++ {
		hashes := added
		if level < len(e.open) {
			hashes = slices.Concat(e.open[level], added)
		}
		index := e.size >> (audit.TileHeight * (level + 1))
		var full []audit.Hash
		for ; len(hashes) >= audit.TileWidth; index++ {
			tiles = append(tiles, Tile{Level: level, Index: index, Hashes: audit.TileData(hashes[:audit.TileWidth])})
			full = append(full, audit.Subtree(hashes[:audit.TileWidth]))
			hashes = hashes[audit.TileWidth:]
		}
		if len(added) > 0 && len(hashes) > 0 {
			tiles = append(tiles, Tile{Level: level, Index: index, Hashes: audit.TileData(hashes)})
		}
		next.open = append(next.open, slices.Clone(hashes))
		added = full
	}
	return next, tiles
}
