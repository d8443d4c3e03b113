package archive

import (
	"errors"
	"io"
	"io/fs"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// The most bytes that files have.
const (
	maxNote   = 1 << 20
	maxBundle = audit.TileWidth * (2 + audit.MaxBody)
	maxTile   = audit.TileWidth * tlog.HashSize
)

// errTooLong is returned by readFile: whatever it is, it is not what was asked for.
var errTooLong = errors.New("the file is too long")

// readFile returns a file of at most limit bytes.
func readFile(folder fs.FS, name string, limit int64) (content []byte, err error) {
	f, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	if info.Size() > limit {
		return nil, errTooLong
	}
	content = make([]byte, info.Size())
	_, err = io.ReadFull(f, content)
	return content, err
}

// errTile is returned by readTile if the file is not a tile of the width.
var errTile = errors.New("not a tile")

// readTile returns the hashes of a tile.
func readTile(folder fs.FS, t tlog.Tile) ([]audit.Hash, error) {
	data, err := readFile(folder, audit.TilePath(t), maxTile)
	if errors.Is(err, errTooLong) || err == nil && len(data) != t.W*tlog.HashSize {
		return nil, errTile
	}
	if err != nil {
		return nil, err
	}
	return audit.TileHashes(data), nil
}
