package ledger

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/vault/audit"
)

// TestEdgeIsTheTree grows a tree by extensions of any length and compares its roots
// with those of another implementation, and its tiles with those that tlog makes.
func TestEdgeIsTheTree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		other := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
		var e edge
		var stored []tlog.Hash
		read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
			var found []tlog.Hash
			for _, i := range indexes {
				found = append(found, stored[i])
			}
			return found, nil
		})
		tiles := map[[2]int64][]byte{}
		extensions := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(1, 5), rapid.IntRange(200, 300), rapid.IntRange(1, 70_000)), 1, 4).Draw(t, "extensions")
		for _, n := range extensions {
			leaves := make([]audit.Hash, n)
			for i := range leaves {
				leaves[i] = audit.LeafHash(binary.AppendVarint(nil, e.size+int64(i)))
				more, err := tlog.StoredHashesForRecordHash(e.size+int64(i), leaves[i], read)
				if err != nil {
					t.Fatal(err)
				}
				stored = append(stored, more...)
				if err := other.Append(leaves[i][:], nil); err != nil {
					t.Fatal(err)
				}
			}
			before := e
			was := before.root()
			next, changed := e.extend(leaves)
			if before.root() != was {
				t.Fatal("extending changed the shorter edge")
			}
			want := tlog.NewTiles(audit.TileHeight, e.size, next.size)
			if len(changed) != len(want) {
				t.Fatalf("%d tiles, want %d", len(changed), len(want))
			}
			for _, tile := range changed {
				tiles[[2]int64{int64(tile.Level), tile.Index}] = tile.Hashes
			}
			for _, tile := range want {
				data, err := tlog.ReadTileData(tile, read)
				if err != nil || !bytes.Equal(data, tiles[[2]int64{int64(tile.L), tile.N}]) {
					t.Fatalf("tile %v differs, %v", tile, err)
				}
			}
			e = next
			root, err := other.GetRootHash(nil)
			if err != nil || !bytes.Equal(root, hashBytes(e.root())) {
				t.Fatalf("root of %d differs, %v", e.size, err)
			}
			loaded := edgeTiles(e.size)
			var hashes [][]byte
			for _, tile := range loaded {
				hashes = append(hashes, tiles[[2]int64{int64(tile.L), tile.N}][:tile.W*tlog.HashSize])
			}
			if again := newEdge(e.size, loaded, hashes); again.root() != e.root() {
				t.Fatalf("the edge of %d entries differs after loading", e.size)
			}
		}
	})
}

func TestEmptyEdge(t *testing.T) {
	if got := (edge{}).root(); !bytes.Equal(hashBytes(got), rfc6962.DefaultHasher.EmptyRoot()) {
		t.Errorf("root %v", got)
	}
}

func hashBytes(h audit.Hash) []byte { return h[:] }
