package review

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// ErrFolder is returned by Folder and Entries if a folder is not an exported log,
// or has lost a part.
var ErrFolder = errors.New("not a whole exported log")

// The most bytes that files have.
const (
	maxNote   = 1 << 20
	maxBundle = audit.TileWidth * (2 + audit.MaxBody)
)

// Folder returns the checkpoint of an exported log (C2SP tlog-tiles), without
// verifying it: that is for the verification of the folder to do.
func Folder(folder fs.FS) (audit.Checkpoint, error) {
	note, err := readFile(folder, "checkpoint", maxNote)
	if err != nil {
		return audit.Checkpoint{}, fmt.Errorf("%w: %w", ErrFolder, err)
	}
	// C2SP signed-note: the text ends with the line before the first empty one.
	text, _, signed := strings.Cut(string(note), "\n\n")
	c, err := audit.ParseCheckpoint(text + "\n")
	if err != nil || !signed {
		return audit.Checkpoint{}, fmt.Errorf("%w: %w", ErrFolder, audit.ErrCheckpoint)
	}
	return c, nil
}

// Entries returns the entries of an exported log from the index first up to its
// size, in order. An entry that the retention policy dropped has no body.
func Entries(folder fs.FS, size, first int64) iter.Seq2[audit.LogEntry, error] {
	return func(yield func(audit.LogEntry, error) bool) {
		for n := max(0, first) / audit.TileWidth; n*audit.TileWidth < size; n++ {
			begin := n * audit.TileWidth
			t := tlog.Tile{H: audit.TileHeight, L: audit.EntriesLevel, N: n, W: int(min(size-begin, audit.TileWidth))}
			bodies, err := bundle(folder, t)
			if err != nil {
				yield(audit.LogEntry{}, err)
				return
			}
			for i, body := range bodies {
				index := begin + int64(i)
				if index >= first && !yield(audit.LogEntry{Index: index, Body: body}, nil) {
					return
				}
			}
		}
	}
}

// bundle returns the bodies of a bundle; nil ones where they were dropped. A bundle
// of which nothing is left may be gone, but not its tile of hashes.
func bundle(folder fs.FS, t tlog.Tile) ([][]byte, error) {
	path := audit.TilePath(t)
	data, err := readFile(folder, path, maxBundle)
	if errors.Is(err, fs.ErrNotExist) {
		hashes := t
		hashes.L = 0
		if _, lost := fs.Stat(folder, audit.TilePath(hashes)); lost != nil {
			return nil, fmt.Errorf("%w: %w", ErrFolder, err)
		}
		return make([][]byte, t.W), nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFolder, err)
	}
	bodies, err := audit.ParseBundle(data)
	if err != nil || len(bodies) != t.W {
		return nil, fmt.Errorf("%w: %s: %w", ErrFolder, path, audit.ErrBundle)
	}
	for i := range bodies {
		if len(bodies[i]) == 0 {
			bodies[i] = nil
		}
	}
	return bodies, nil
}

// readFile returns a regular file of at most limit bytes: a folder may be anyone's.
func readFile(folder fs.FS, name string, limit int64) ([]byte, error) {
	info, err := fs.Stat(folder, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("%s: not a file of an exported log", name)
	}
	return fs.ReadFile(folder, name)
}
