package archive

import (
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// KeysFile is the file that says which log a folder is of. Whoever opened the folder
// finds it there, and may lock it to have the folder alone.
const KeysFile = "log.vkey"

const (
	checkpointFile = "checkpoint"
	freshFile      = "checkpoint.new"
)

// tileAt returns the tile that a log of size entries has at this place, in the
// width that it has there: 0 where there is none. C2SP tlog-tiles, "Partial Tiles":
// the partial tile at level l has floor(s / 256**l) mod 256 hashes.
func tileAt(size int64, level int, n int64) tlog.Tile {
	hashes := size
	if level != audit.EntriesLevel {
		hashes = shift(size, level)
	}
	// n of a path can be anything: compare before it is multiplied.
	width := int64(0)
	if n <= hashes>>audit.TileHeight {
		width = min(hashes-n<<audit.TileHeight, audit.TileWidth)
	}
	return tlog.Tile{H: audit.TileHeight, L: level, N: n, W: int(width)}
}

// shift returns how many full subtrees of 256**level entries a log has.
func shift(size int64, level int) int64 { return size >> (audit.TileHeight * level) }

// tilesAt returns the full tile at this place; at level 0 its bundle as well.
func tilesAt(level int, n int64) []tlog.Tile {
	tiles := []tlog.Tile{{H: audit.TileHeight, L: level, N: n, W: audit.TileWidth}}
	if level == 0 {
		tiles = append(tiles, tlog.Tile{H: audit.TileHeight, L: audit.EntriesLevel, N: n, W: audit.TileWidth})
	}
	return tiles
}
