package archive

import (
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// edge is the right edge of a tree: for each level the hashes of the tile that is
// not full yet. It is all that is needed to make the tree longer, and its root.
//
// A zero hash is one that is not known. What is computed from it is not known either.
type edge struct {
	levels []edgeLevel
}

type edgeLevel struct {
	full   int64        // full tiles to the left
	hashes []audit.Hash // fewer than 256
}

// level returns a level of the edge, after making it.
func (e *edge) level(l int) *edgeLevel {
	for len(e.levels) <= l {
		e.levels = append(e.levels, edgeLevel{})
	}
	return &e.levels[l]
}

// size returns how many leaves the tree has.
func (e *edge) size() int64 {
	if len(e.levels) == 0 {
		return 0
	}
	return e.levels[0].full<<audit.TileHeight + int64(len(e.levels[0].hashes))
}

// push appends a hash at a level, and goes on above with each tile that it makes
// full. It hands these to full, which may complete them.
func (e *edge) push(l int, h audit.Hash, full func(t tlog.Tile, hashes []audit.Hash) error) error {
	level := e.level(l)
	level.hashes = append(level.hashes, h)
	if len(level.hashes) < audit.TileWidth {
		return nil
	}
	t := tlog.Tile{H: audit.TileHeight, L: l, N: level.full, W: audit.TileWidth}
	if err := full(t, level.hashes); err != nil {
		return err
	}
	h = audit.Subtree(level.hashes)
	level.full, level.hashes = level.full+1, level.hashes[:0]
	return e.push(l+1, h, full)
}

// skip appends a full tile of leaves that has this hash.
func (e *edge) skip(h audit.Hash, full func(t tlog.Tile, hashes []audit.Hash) error) error {
	e.level(0).full++
	return e.push(1, h, full)
}

// root returns the tree's hash.
func (e *edge) root() audit.Hash {
	open := make([][]audit.Hash, len(e.levels))
	for i, level := range e.levels {
		open[i] = level.hashes
	}
	return audit.Root(open)
}

// rootAt returns what the root was when the tree had no leaves to the right of
// these, which follow the full tiles.
func (e *edge) rootAt(leaves []audit.Hash) audit.Hash {
	shorter := edge{levels: append([]edgeLevel{{hashes: leaves}}, e.levels[min(1, len(e.levels)):]...)}
	return shorter.root()
}
