package ledger

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// loadEdge reads the edge of the stored tree at a size. errTiles: it is not there.
// Nothing is known of its root yet.
func loadEdge(ctx context.Context, store Store, size int64) (edge, error) {
	tiles := edgeTiles(size)
	if len(tiles) == 0 {
		return edge{size: size}, nil
	}
	hashes, err := readTiles(ctx, store, tiles)
	if err != nil {
		return edge{}, err
	}
	return newEdge(size, tiles, hashes), nil
}

// readTiles returns the tiles in the width that is asked for, or errTiles.
func readTiles(ctx context.Context, store Store, tiles []tlog.Tile) ([][]byte, error) {
	hashes, err := store.Tiles(ctx, tiles)
	if err != nil {
		return nil, fmt.Errorf("read tiles: %w", err)
	}
	for i, tile := range tiles {
		want := tile.W * tlog.HashSize
		if len(hashes) != len(tiles) || len(hashes[i]) < want {
			return nil, errTiles
		}
		hashes[i] = hashes[i][:want]
	}
	return hashes, nil
}

// hashReader reads hashes of a tree from the store. What it returns is proven by
// the tree's root; where the stored tiles do not prove it the error is errTiles.
func hashReader(ctx context.Context, store Store, tree tlog.Tree) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		if tree.N == 0 {
			return nil, errTiles // there are none
		}
		source := &tileReader{read: func(tiles []tlog.Tile) ([][]byte, error) { return readTiles(ctx, store, tiles) }}
		hashes, err := tlog.TileHashReader(tree, source).ReadHashes(indexes)
		switch {
		case source.err != nil:
			return nil, source.err
		case err != nil:
			return nil, errTiles
		}
		return hashes, nil
	})
}

// tileReader implements tlog.TileReader.
type tileReader struct {
	read func([]tlog.Tile) ([][]byte, error)
	err  error
}

// Height implements tlog.TileReader.
func (*tileReader) Height() int { return audit.TileHeight }

// ReadTiles implements tlog.TileReader.
func (r *tileReader) ReadTiles(tiles []tlog.Tile) (hashes [][]byte, err error) {
	hashes, r.err = r.read(tiles)
	return hashes, r.err
}

// SaveTiles implements tlog.TileReader.
func (*tileReader) SaveTiles([]tlog.Tile, [][]byte) {}

// leaves returns the leaf hashes from index from up to, not including, to.
func leaves(r tlog.HashReader, from, to int64) ([]audit.Hash, error) {
	indexes := make([]int64, 0, to-from)
	for i := from; i < to; i++ {
		indexes = append(indexes, tlog.StoredHashIndex(0, i))
	}
	return r.ReadHashes(indexes)
}

// prove proves that the tree begins with its own first entries, and checks the
// proof. root is the tree hash over them.
func prove(r tlog.HashReader, tree tlog.Tree, first int64) (p tlog.TreeProof, root audit.Hash, err error) {
	if root, err = tlog.TreeHash(first, r); err != nil || first == 0 {
		return tlog.TreeProof{}, root, err
	}
	if p, err = tlog.ProveTree(tree.N, first, r); err != nil {
		return nil, root, err
	}
	if tlog.CheckTree(p, tree.N, tree.Hash, first, root) != nil {
		return nil, root, errTiles
	}
	return p, root, nil
}

// errOther: a tree begins otherwise.
var errOther = errors.New("other entries")

// begins returns nil where the tree begins with the other, shorter one, errOther
// where it provably does not, and errTiles where the stored tiles prove nothing.
func begins(ctx context.Context, store Store, tree, with tlog.Tree) error {
	switch {
	case with.N == 0:
		return nil
	case with.N == tree.N:
		if with.Hash != tree.Hash {
			return errOther
		}
		return nil
	}
	_, root, err := prove(hashReader(ctx, store, tree), tree, with.N)
	if err == nil && root != with.Hash {
		err = errOther
	}
	return err
}
