package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

type replica = uuid.UUID

// piece is a bundle of entries with its tile of leaves, read and compared. It is
// what can be said of them without what comes before.
type piece struct {
	first  int64 // index
	leaves []audit.Hash
	// root of the leaves, where they are a full tile.
	root     audit.Hash
	entries  []entry
	dropped  []span
	findings []Finding
	err      error
}

// entry is what is kept of an entry for what is checked across entries.
type entry struct {
	index   int64
	leaf    audit.Hash
	replica replica
	number  int64
	prev    audit.Hash
	time    time.Time
	// prunes is the first index that was kept, where the server says that it dropped
	// all before it.
	prunes int64
}

// read reads piece n.
func (v *verifier) read(n int64) piece {
	p := piece{first: n << audit.TileHeight}
	t := tileAt(v.report.Size, 0, n)
	p.readLeaves(v.folder, t)
	p.readBundle(v.folder, t)
	if t.W == audit.TileWidth {
		p.root = subtree(p.leaves)
	}
	return p
}

func (p *piece) find(c Class, path string, index int64, format string, args ...any) {
	p.findings = append(p.findings, Finding{Class: c, Path: path, Index: index, Text: fmt.Sprintf(format, args...)})
}

// readLeaves reads the tile. Leaves that are not known stay zero.
func (p *piece) readLeaves(folder fs.FS, t tlog.Tile) {
	hashes, err := readTile(folder, t)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.find(ClassMissing, audit.TilePath(t), NoIndex, "there is no such tile")
	case errors.Is(err, errTile):
		p.find(ClassTree, audit.TilePath(t), NoIndex, "the file is not %d hashes long", t.W)
	case err != nil:
		p.err = err
	}
	if p.leaves = hashes; hashes == nil {
		p.leaves = make([]audit.Hash, t.W)
	}
}

// readBundle reads the entries and compares them with the leaves.
func (p *piece) readBundle(folder fs.FS, t tlog.Tile) {
	t.L = audit.EntriesLevel
	path := audit.TilePath(t)
	bundle, err := readFile(folder, path, maxBundle)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.dropped = append(p.dropped, span{p.first, p.first + int64(t.W)})
		return
	case errors.Is(err, errTooLong):
		p.find(ClassBundle, path, NoIndex, "the file is longer than any bundle")
		return
	case err != nil:
		p.err = errors.Join(p.err, err)
		return
	}
	bodies, err := audit.ParseBundle(bundle)
	if err != nil {
		p.find(ClassBundle, path, NoIndex, "the file is not a bundle of entries")
		return
	}
	if len(bodies) != t.W {
		p.find(ClassBundle, path, NoIndex, "the bundle has %d entries instead of %d", len(bodies), t.W)
	}
	p.entries = make([]entry, 0, t.W)
	for i, body := range bodies[:min(len(bodies), t.W)] {
		p.readEntry(path, i, body)
	}
}

// readEntry checks an entry by itself.
func (p *piece) readEntry(path string, i int, body []byte) {
	index := p.first + int64(i)
	if len(body) == 0 {
		p.dropped = append(p.dropped, span{index, index + 1})
		return
	}
	// The leaf counts for what follows: it is what the tree proves.
	if leaf := audit.LeafHash(body); p.leaves[i] == (audit.Hash{}) {
		p.leaves[i] = leaf
	} else if p.leaves[i] != leaf {
		p.find(ClassEntry, path, index, "the entry is not the one that the tree has here")
	}
	e, err := audit.Parse(body)
	if err != nil {
		p.find(ClassEntry, path, index, "the entry is none that the vault writes")
		return
	}
	if field := cardData(&e); field != "" {
		p.find(ClassCardData, path, index, "field %s holds what looks like card data", field)
	}
	p.entries = append(p.entries, entry{
		index: index, leaf: p.leaves[i], replica: e.Replica, number: e.Number, prev: e.Prev, time: e.Time, prunes: pruned(&e),
	})
}
