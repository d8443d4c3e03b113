package ship

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/cardvault/cardvault/vault/audit"
)

// position is a place in the log, with what is needed to prove what follows: the
// compact range of the tree over all entries before it.
type position struct {
	// Next is the index of the first entry that was not delivered.
	Next int64
	// Hashes are the roots of the perfect trees that the entries before it fill, left
	// to right.
	Hashes [][]byte
}

// tree returns the tree over all entries before the position.
func (p position) tree() (*compact.Range, error) {
	if p.Next < 0 {
		return nil, errors.New("negative position")
	}
	for _, h := range p.Hashes {
		if len(h) != len(audit.Hash{}) {
			return nil, errors.New("not a hash")
		}
	}
	factory := &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	return factory.NewRange(0, uint64(p.Next), slices.Clone(p.Hashes)) // the tree writes into its slice
}

// positionOf returns where a tree ends.
func positionOf(tree *compact.Range) position {
	return position{int64(tree.End()), slices.Clone(tree.Hashes())} //nolint:gosec // see next
}

// cursor keeps a sink's position in a file.
type cursor struct {
	path   string
	origin string
	// interrupt is called before each step of save; tests die there.
	interrupt func(step string) error
}

// cursorFile is what stands in the file.
type cursorFile struct {
	Version int      `json:"version"`
	Origin  string   `json:"origin"`
	Next    int64    `json:"next"`
	Tree    [][]byte `json:"tree"`
}

// cursorVersion counts the forms of the file.
const cursorVersion = 1

// load returns where the sink stands; the beginning of the log where there is no
// file.
func (c *cursor) load() (position, error) {
	text, err := os.ReadFile(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return position{}, nil
	}
	if err != nil {
		return position{}, fmt.Errorf("cursor: %w", err)
	}
	var file cursorFile
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil || file.Version != cursorVersion {
		return position{}, fmt.Errorf("%s: not a cursor", c.path)
	}
	if file.Origin != c.origin {
		return position{}, fmt.Errorf("%s: a cursor in another log, %q", c.path, file.Origin)
	}
	p := position{file.Next, file.Tree}
	if _, err := p.tree(); err != nil {
		return position{}, fmt.Errorf("%s: not a cursor: %w", c.path, err)
	}
	return p, nil
}

// save makes a position durable. The old file stays whole until the new one is,
// and is replaced in one step: a crash leaves the one or the other.
func (c *cursor) save(p position) error {
	text, err := json.Marshal(cursorFile{cursorVersion, c.origin, p.Next, p.Hashes})
	if err != nil {
		return fmt.Errorf("cursor: %w", err)
	}
	fresh := c.path + ".new"
	steps := []struct {
		name string
		do   func() error
	}{
		{"write", func() error { return writeDurably(fresh, append(text, '\n')) }},
		// The commit point: from here on, and not before, the entries count as delivered.
		{"rename", func() error { return os.Rename(fresh, c.path) }},
		{"sync", func() error { return syncFolder(filepath.Dir(c.path)) }},
	}
	for _, step := range steps {
		if err := c.interrupt("cursor " + step.name); err != nil {
			return fmt.Errorf("cursor: %w", err)
		}
		if err := step.do(); err != nil {
			return fmt.Errorf("cursor: %w", err)
		}
	}
	return nil
}

// writeDurably writes a file that is on the disk when it returns.
func writeDurably(path string, text []byte) (err error) {
	f, err := os.OpenFile(filepath.Clean(path), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Sync()
}

// syncFolder makes the names in a folder durable.
func syncFolder(path string) (err error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Sync()
}
