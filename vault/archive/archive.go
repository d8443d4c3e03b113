package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/vault/audit"
)

// Why a folder is not written to.
var (
	// ErrNotArchive is returned by Open if the folder holds something else.
	ErrNotArchive = errors.New("the folder is neither empty nor an archive")
	// ErrOtherLog is returned by Open if the folder is of another log than the keys.
	ErrOtherLog = errors.New("the folder is an archive of another log")
	// ErrDamaged is returned by Open if the newest files of the folder are not what
	// its checkpoint says. Verify finds out more.
	ErrDamaged = errors.New("the folder does not hold what its checkpoint says")
	// ErrRolledBack is returned by Append if the log is shorter than it was.
	ErrRolledBack = errors.New("the log is shorter than it was: it was rolled back")
	// ErrForked is returned by Append if the log does not begin with what it was
	// before, or its entries are not those that were signed.
	ErrForked = errors.New("the log is another than it was: it was forked, or its entries edited")
	// ErrGap is returned by Append if an entry is not the next one, or comes before
	// the checkpoint that covers it.
	ErrGap = errors.New("an entry arrived out of order")
)

// Archive writes a folder. It is not safe for concurrent use, nor may two have the
// same folder: the caller keeps others out.
type Archive struct {
	disk disk
	keys []note.Verifier

	signed []byte // the checkpoint in place; nil: none yet
	head   audit.Checkpoint

	edge edge
	// bundle holds the bodies behind the edge at level 0. bodies is how many of them
	// were not dropped.
	bundle []byte
	bodies int
	// expected are checkpoints further on, smallest first. The root of none of them
	// was seen yet.
	expected []signedCheckpoint

	writer     writer
	committing bool
	failed     error // after which what is in memory means nothing
}

type signedCheckpoint struct {
	audit.Checkpoint
	signed []byte
}

// Open opens a folder, after making it where there is none. The text has the keys
// of the log, as audit.ParseKeys reads them; those of the past have to be among
// them where the folder's checkpoint bears their signature.
func Open(dir, text string) (*Archive, error) {
	keys, err := audit.ParseKeys(text)
	if err != nil {
		return nil, err
	}
	disk, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	a, err := open(disk, keys, text)
	if err != nil {
		return nil, errors.Join(err, disk.Close())
	}
	return a, nil
}

func open(disk disk, keys []note.Verifier, text string) (*Archive, error) {
	a := &Archive{disk: disk, keys: keys, writer: writer{disk: disk}}
	err := a.claim(text)
	if err != nil {
		return nil, err
	}
	a.signed, err = readFile(disk, checkpointFile, maxNote)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	if a.head, err = audit.OpenCheckpoint(a.signed, keys...); err != nil {
		return nil, fmt.Errorf("the checkpoint in the folder: %w", err)
	}
	return a, a.load()
}

// claim says in the folder which log it is of, unless that stands there already.
func (a *Archive) claim(text string) error {
	text = keyLines(text)
	before, err := readFile(a.disk, KeysFile, maxNote)
	if errors.Is(err, fs.ErrNotExist) {
		files, err := fs.ReadDir(a.disk, ".")
		if err != nil {
			return err
		}
		if len(files) > 0 {
			return ErrNotArchive
		}
	} else if err != nil {
		return err
	}
	// What was cut short by a crash names no log.
	known, err := audit.ParseKeys(string(before))
	if err == nil && known[0].Name() != a.keys[0].Name() {
		return ErrOtherLog
	}
	if string(before) == text {
		return nil
	}
	if err := a.disk.Put(KeysFile, []byte(text)); err != nil {
		return err
	}
	return a.disk.SyncFolder(".")
}

// keyLines returns the keys of a text, one a line.
func keyLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// load reads the edge of the tree that the checkpoint is the head of.
func (a *Archive) load() error {
	for l := 0; shift(a.head.Size, l) > 0; l++ {
		t := tileAt(a.head.Size, l, shift(a.head.Size, l+1))
		level := a.edge.level(l)
		level.full = t.N
		if t.W == 0 {
			continue
		}
		hashes, err := readTile(a.disk, t)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errTile) {
			return ErrDamaged
		} else if err != nil {
			return err
		}
		level.hashes = append(level.hashes, hashes...)
	}
	if a.edge.root() != a.head.Root {
		return ErrDamaged
	}
	return a.loadBundle()
}

// loadBundle reads the bundle that is not full.
func (a *Archive) loadBundle() error {
	t := tileAt(a.head.Size, audit.EntriesLevel, shift(a.head.Size, 1))
	if t.W == 0 {
		return nil
	}
	bundle, err := readFile(a.disk, audit.TilePath(t), maxBundle)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrDamaged
	}
	if err != nil {
		return err
	}
	bodies, err := audit.ParseBundle(bundle)
	if err != nil || len(bodies) != t.W {
		return ErrDamaged
	}
	for i, body := range bodies {
		if len(body) == 0 {
			continue
		}
		if audit.LeafHash(body) != a.edge.levels[0].hashes[i] {
			return ErrDamaged
		}
		a.bodies++
	}
	a.bundle = bundle
	return nil
}

// Size returns how many entries the folder has: the index from which it wants more.
// After Append has failed it means nothing.
func (a *Archive) Size() int64 { return a.edge.size() }

// Expected returns how many entries the folder will have at the last checkpoint that
// has arrived.
func (a *Archive) Expected() int64 {
	if n := len(a.expected); n > 0 {
		return a.expected[n-1].Size
	}
	return a.head.Size
}

// Checkpoint returns the folder's checkpoint, signed, and its size; nil and 0 where
// it has none yet.
func (a *Archive) Checkpoint() (signed []byte, size int64) {
	return bytes.Clone(a.signed), a.head.Size
}

// Close releases the folder. Entries that no checkpoint in the folder covers are not
// kept.
func (a *Archive) Close() error {
	err := a.writer.wait()
	if err == nil {
		err = a.discard()
	}
	if closer, ok := a.disk.(interface{ Close() error }); ok {
		err = errors.Join(err, closer.Close())
	}
	return err
}

// discard removes the tiles beyond the checkpoint. Those of a commit that failed on
// its way may have a checkpoint already.
func (a *Archive) discard() error {
	if a.committing {
		return nil
	}
	for l, level := range a.edge.levels {
		for n := shift(a.head.Size, l+1); n < level.full; n++ {
			for _, t := range tilesAt(l, n) {
				if err := a.disk.RemoveAll(audit.TilePath(t)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
