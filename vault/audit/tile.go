package audit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// TileHeight is the height of a tile: 256 hashes, or 256 entries (C2SP tlog-tiles,
// "Merkle Tree").
const (
	TileHeight = 8
	TileWidth  = 1 << TileHeight
)

// EntriesLevel is the level that a tlog.Tile of entries has.
const EntriesLevel = -1

// TilePath returns where tlog-tiles keeps a tile of hashes, or a bundle of entries
// where its level is EntriesLevel: tile/<L>/<N>[.p/<W>].
func TilePath(t tlog.Tile) string {
	level := "entries"
	if t.L != EntriesLevel {
		level = strconv.Itoa(t.L)
	}
	// <N> in path elements of three digits, all but the last with an x before it.
	n := fmt.Sprintf("%03d", t.N%1000)
	for rest := t.N / 1000; rest > 0; rest /= 1000 {
		n = fmt.Sprintf("x%03d/%s", rest%1000, n)
	}
	path := "tile/" + level + "/" + n
	if t.W != TileWidth {
		path += ".p/" + strconv.Itoa(t.W)
	}
	return path
}

// ErrTilePath is returned by ParseTilePath if there can be no tile of this path.
var ErrTilePath = errors.New("no path of a tile")

// ParseTilePath returns the tile of a path that TilePath returns, and ErrTilePath
// for any other.
func ParseTilePath(path string) (tlog.Tile, error) {
	t := tlog.Tile{H: TileHeight, W: TileWidth}
	rest, ok := strings.CutPrefix(path, "tile/")
	level, rest, found := strings.Cut(rest, "/")
	if !ok || !found {
		return tlog.Tile{}, ErrTilePath
	}
	var err error
	if level == "entries" {
		t.L = EntriesLevel
	} else if t.L, err = strconv.Atoi(level); err != nil || t.L < 0 || t.L > 63 {
		return tlog.Tile{}, ErrTilePath
	}
	rest, width, partial := strings.Cut(rest, ".p/")
	if partial {
		if t.W, err = strconv.Atoi(width); err != nil || t.W < 1 || t.W >= TileWidth {
			return tlog.Tile{}, ErrTilePath
		}
	}
	digits := strings.ReplaceAll(strings.ReplaceAll(rest, "/", ""), "x", "")
	if t.N, err = strconv.ParseInt(digits, 10, 64); err != nil || t.N < 0 || TilePath(t) != path {
		return tlog.Tile{}, ErrTilePath
	}
	return t, nil
}

// LogTiles returns the tiles of hashes and the bundles that a log of size entries
// consists of and one of the size old does not, partial ones included. Partial
// tiles that the longer log replaced are not among them.
func LogTiles(old, size int64) []tlog.Tile {
	var tiles []tlog.Tile
	for _, t := range tlog.NewTiles(TileHeight, old, size) {
		if t.L == 0 {
			bundle := t
			bundle.L = EntriesLevel
			tiles = append(tiles, bundle)
		}
		tiles = append(tiles, t)
	}
	return tiles
}
