package archive

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// TestEdgeAgainstAnotherImplementation grows a tree over several levels of tiles, and
// compares its root with the one that transparency-dev/merkle computes.
func TestEdgeAgainstAnotherImplementation(t *testing.T) {
	t.Parallel()
	other := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	root := func() audit.Hash {
		t.Helper()
		root, err := other.GetRootHash(nil)
		if err != nil {
			t.Fatal(err)
		}
		if root == nil {
			root = rfc6962.DefaultHasher.EmptyRoot()
		}
		return audit.Hash(root)
	}
	var e edge
	tiles := 0
	count := func(tlog.Tile, []audit.Hash) error { tiles++; return nil }
	const size = 256*256*2 + 300
	for n := range int64(size + 1) {
		// All sizes in the beginning, those around full tiles, and some.
		if n < 1100 || n%256 < 2 || n%65_536 > 65_530 || n%997 == 0 {
			if got := e.root(); e.size() != n || got != root() {
				t.Fatalf("at %d: size %d, root %v, want %v", n, e.size(), got, root())
			}
		}
		leaf := audit.LeafHash(binary.BigEndian.AppendUint64(nil, uint64(n)))
		if err := other.Append(leaf[:], nil); err != nil {
			t.Fatal(err)
		}
		if err := e.push(0, leaf, count); err != nil {
			t.Fatal(err)
		}
	}
	if want := size/256 + 2; tiles != want {
		t.Errorf("%d full tiles, want %d", tiles, want)
	}
}

// rootAt is the root that the tree had before, for every leaf of the next tile.
func TestEdgeRootAt(t *testing.T) {
	var e, grown edge
	none := func(tlog.Tile, []audit.Hash) error { return nil }
	for n := range 600 {
		leaf := audit.LeafHash([]byte{byte(n), byte(n >> 8)})
		if err := errors.Join(grown.push(0, leaf, none), e.push(0, leaf, none)); err != nil {
			t.Fatal(err)
		}
		full := edge{levels: slices.Clone(e.levels)}
		full.levels[0].hashes = nil
		if got, want := full.rootAt(e.levels[0].hashes), grown.root(); got != want {
			t.Fatalf("at %d: got %v, want %v", n+1, got, want)
		}
	}
}

// A hash that is not known makes unknown what depends on it, and nothing else.
func TestEdgeDoesNotMakeUpHashes(t *testing.T) {
	known, unknown := audit.LeafHash([]byte("a")), audit.Hash{}
	for name, tc := range map[string]struct {
		hashes []audit.Hash
		known  bool
	}{
		"all known":     {[]audit.Hash{known, known, known}, true},
		"left unknown":  {[]audit.Hash{unknown, known, known}, false},
		"right unknown": {[]audit.Hash{known, known, unknown}, false},
		"one unknown":   {[]audit.Hash{unknown}, false},
	} {
		if got := (&edge{}).rootAt(tc.hashes); (got != audit.Hash{}) != tc.known {
			t.Errorf("%s: root %v", name, got)
		}
	}
}
