package audit_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/vault/audit"
)

func tileOf(level int, n int64, width int) tlog.Tile {
	return tlog.Tile{H: audit.TileHeight, L: level, N: n, W: width}
}

// The examples of C2SP tlog-tiles, and the edges around them.
func TestTilePath(t *testing.T) {
	for path, tile := range map[string]tlog.Tile{
		"tile/0/x001/x234/067":        tileOf(0, 1234067, 256), // "index 1234067 will be encoded as x001/x234/067"
		"tile/0/000":                  tileOf(0, 0, 256),
		"tile/0/000.p/1":              tileOf(0, 0, 1),
		"tile/0/273.p/112":            tileOf(0, 273, 112), // a tree of size 70,000
		"tile/1/001.p/17":             tileOf(1, 1, 17),
		"tile/2/000.p/1":              tileOf(2, 0, 1),
		"tile/63/999":                 tileOf(63, 999, 256),
		"tile/0/x001/000":             tileOf(0, 1000, 256),
		"tile/0/x001/x000/000.p/255":  tileOf(0, 1_000_000, 255),
		"tile/entries/000":            tileOf(audit.EntriesLevel, 0, 256),
		"tile/entries/x123/456.p/255": tileOf(audit.EntriesLevel, 123_456, 255),
	} {
		if got := audit.TilePath(tile); got != path {
			t.Errorf("path of %v is %s, want %s", tile, got, path)
		}
		if got, err := audit.ParseTilePath(path); err != nil || got != tile {
			t.Errorf("%s is %v, %v; want %v", path, got, err, tile)
		}
	}
}

func malformedPaths() []string {
	return []string{
		"", "tile", "tile/", "tile/0", "tile/0/", "/tile/0/000", "tile/0/000/", "checkpoint", "tile//000",
		"tile/00/000", "tile/01/000", "tile/-1/000", "tile/-2/000", "tile/+1/000", "tile/64/000", "tile/99999999999999999999/000", "tile/x/000",
		"tile/8/0/000", "tile/data/000", "tile/Entries/000",
		"tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/1234", "tile/0/x000/000", "tile/0/001/000", "tile/0/x001", "tile/0/x001/x000",
		"tile/0/-01", "tile/0/-1", "tile/0/+01", "tile/0/x-01/000", "tile/0/ 01", "tile/0/0x1", "tile/0/x1/000", "tile/0/xx001/000",
		"tile/0/x009/x223/x372/x036/x854/x775/808", "tile/0/x999/x999/x999/x999/x999/x999/999",
		"tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/00", "tile/0/000.p/01", "tile/0/000.p/-1", "tile/0/000.p/+1",
		"tile/0/000.p/256", "tile/0/000.p/1/1", "tile/0/000.p/1.p/1", "tile/0/000.P/1", "tile/0/x001.p/1/000", "tile/0/000.p/1 ",
		"tile/0/../0/000", "tile/0/000\x00", "tile/٠/000", "tile/0/٠٠٠",
	}
}

func TestParseTilePathRefuses(t *testing.T) {
	for _, path := range malformedPaths() {
		if got, err := audit.ParseTilePath(path); !errors.Is(err, audit.ErrTilePath) || got != (tlog.Tile{}) {
			t.Errorf("%q is %v, %v", path, got, err)
		}
	}
}

// TestTilePathAgainstAnotherImplementation compares with the go command's, whose
// paths have the height besides, and data for entries.
func TestTilePathAgainstAnotherImplementation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tile := tileOf(rapid.IntRange(-1, 30).Draw(t, "level"), rapid.Int64Range(0, 1<<62).Draw(t, "n"), rapid.IntRange(1, 256).Draw(t, "width"))
		path := audit.TilePath(tile)
		other := strings.Replace(strings.Replace(tile.Path(), "tile/8/", "tile/", 1), "tile/data/", "tile/entries/", 1)
		if path != other {
			t.Fatalf("path of %v is %s, want %s", tile, path, other)
		}
		if got, err := audit.ParseTilePath(path); err != nil || got != tile {
			t.Fatalf("%s is %v, %v; want %v", path, got, err, tile)
		}
	})
}

// What a log grows by in steps and at once is the same, but for the partial tiles
// that it had on the way.
func TestLogTiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Int64Range(0, 200_000).Draw(t, "first")
		second := first + rapid.Int64Range(0, 200_000).Draw(t, "more")
		var steps []string
		for _, tile := range slices.Concat(audit.LogTiles(0, first), audit.LogTiles(first, second)) {
			steps = append(steps, audit.TilePath(tile))
		}
		for _, tile := range audit.LogTiles(0, second) {
			// C2SP tlog-tiles, "Partial Tiles": "The partial tile at level l for a tree of
			// size s has floor(s / 256**l) mod 256 entries."
			hashes := second >> (8 * max(tile.L, 0))
			if tile.W != audit.TileWidth && (int64(tile.W) != hashes%256 || tile.N != hashes/256) || tile.N*256+int64(tile.W) > hashes {
				t.Fatalf("a log of %d has no %s", second, audit.TilePath(tile))
			}
			if path := audit.TilePath(tile); !slices.Contains(steps, path) {
				t.Fatalf("from %d to %d there is no %s", first, second, path)
			}
		}
	})
	if got := audit.LogTiles(0, 0); len(got) > 0 {
		t.Errorf("an empty log has %v", got)
	}
}

func FuzzParseTilePath(f *testing.F) {
	for _, path := range append(malformedPaths(), "tile/0/x001/x234/067", "tile/entries/000.p/1", "tile/63/999") {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		tile, err := audit.ParseTilePath(path)
		if err != nil {
			if !errors.Is(err, audit.ErrTilePath) || tile != (tlog.Tile{}) {
				t.Fatalf("%v, %v", tile, err)
			}
			return
		}
		if got := audit.TilePath(tile); got != path {
			t.Fatalf("%q is the path of %v, whose path is %q", path, tile, got)
		}
		if tile.L < audit.EntriesLevel || tile.L > 63 || tile.N < 0 || tile.W < 1 || tile.W > audit.TileWidth || tile.H != audit.TileHeight {
			t.Fatalf("%q is %v", path, tile)
		}
	})
}
