package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

type replica = uuid.UUID

// piece is a bundle of entries with its tile of leaves, read and compared. It is
// what can be said of them without what comes before.
type piece struct {
	first  int64  // index
	path   string // of the bundle
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
	bodies := p.readBundle(v.folder, t)
	p.compare(v, t, bodies)
	for i, body := range bodies {
		p.readEntry(i, body)
	}
	if t.W == audit.TileWidth {
		p.root = audit.Subtree(p.leaves)
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

// readBundle reads the bodies, at most as many as there are leaves.
func (p *piece) readBundle(folder fs.FS, t tlog.Tile) [][]byte {
	t.L = audit.EntriesLevel
	p.path = audit.TilePath(t)
	bundle, err := readFile(folder, p.path, maxBundle)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.dropped = append(p.dropped, span{p.first, p.first + int64(t.W)})
		return nil
	case errors.Is(err, errTooLong):
		p.find(ClassBundle, p.path, NoIndex, "the file is longer than any bundle")
		return nil
	case err != nil:
		p.err = errors.Join(p.err, err)
		return nil
	}
	bodies, err := audit.ParseBundle(bundle)
	if err != nil {
		p.find(ClassBundle, p.path, NoIndex, "the file is not a bundle of entries")
		return nil
	}
	if len(bodies) != t.W {
		p.find(ClassBundle, p.path, NoIndex, "the bundle has %d entries instead of %d", len(bodies), t.W)
	}
	return bodies[:min(len(bodies), t.W)]
}

// compare compares the bodies with the leaves, and fills in the leaves that are not
// known.
func (p *piece) compare(v *verifier, t tlog.Tile, bodies [][]byte) {
	own := slices.Clone(p.leaves)
	var wrong []int
	for i, body := range bodies {
		if len(body) == 0 {
			continue
		}
		own[i] = audit.LeafHash(body)
		if p.leaves[i] == (audit.Hash{}) {
			p.leaves[i] = own[i]
		} else if p.leaves[i] != own[i] {
			wrong = append(wrong, i)
		}
	}
	if len(wrong) == 0 {
		return
	}
	// Either was edited. The tile above, if there is one, says which; else the leaves
	// count for what follows, since they are what the root is made of.
	inTile := p.vouched(v, t, own)
	for _, i := range wrong {
		if index := p.first + int64(i); inTile {
			p.find(ClassTree, audit.TilePath(t), index, "the hash is not that of the entry")
		} else {
			p.find(ClassEntry, p.path, index, "the entry is not the one that the tree has here")
		}
	}
	if inTile {
		p.leaves = own
	}
}

// vouched reports whether the tile above has the hash of these leaves.
func (p *piece) vouched(v *verifier, t tlog.Tile, leaves []audit.Hash) bool {
	if t.W < audit.TileWidth {
		return false
	}
	above, err := readTile(v.folder, tileAt(v.report.Size, 1, shift(t.N, 1)))
	return err == nil && above[t.N%audit.TileWidth] == audit.Subtree(leaves)
}

// readEntry checks an entry by itself.
func (p *piece) readEntry(i int, body []byte) {
	index := p.first + int64(i)
	if len(body) == 0 {
		p.dropped = append(p.dropped, span{index, index + 1})
		return
	}
	e, err := audit.Parse(body)
	if err != nil {
		p.find(ClassEntry, p.path, index, "the entry is none that the vault writes")
		return
	}
	if field := cardData(&e); field != "" {
		p.find(ClassCardData, p.path, index, "field %s holds what looks like card data", field)
	}
	p.entries = append(p.entries, entry{
		index: index, leaf: p.leaves[i], replica: e.Replica, number: e.Number, prev: e.Prev, time: e.Time, prunes: pruned(&e),
	})
}
