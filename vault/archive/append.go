package archive

import (
	"bytes"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// Append takes the next piece of the log. Once the last entry that a checkpoint
// covers is there, the folder is the log at that checkpoint; until then it stays
// what it was. A batch without entries says how long the log is now.
//
// It returns ErrRolledBack, ErrForked, ErrGap, an error of audit.OpenCheckpoint, or
// that of the disk. After any of them the Archive takes no more; the folder is as
// the last checkpoint left it.
func (a *Archive) Append(batch audit.Batch) error {
	if a.failed == nil {
		a.failed = a.append(batch)
	}
	return a.failed
}

func (a *Archive) append(batch audit.Batch) error {
	if err := a.writer.err(); err != nil {
		return err
	}
	if batch.Checkpoint != nil {
		if err := a.expect(batch.Checkpoint); err != nil {
			return err
		}
	}
	end := a.Size() + int64(len(batch.Entries))
	for _, e := range batch.Entries {
		if err := a.add(e); err != nil {
			return err
		}
		if err := a.arrive(end); err != nil {
			return err
		}
	}
	return nil
}

// expect takes note of a checkpoint further on.
func (a *Archive) expect(signed []byte) error {
	c, err := audit.OpenCheckpoint(signed, a.keys...)
	if err != nil {
		return err
	}
	last := a.head
	if n := len(a.expected); n > 0 {
		last = a.expected[n-1].Checkpoint
	}
	switch {
	case c.Size < last.Size:
		return ErrRolledBack
	case c.Size > last.Size || a.signed == nil && len(a.expected) == 0:
		a.expected = append(a.expected, signedCheckpoint{c, bytes.Clone(signed)})
		return a.arrive(a.Size())
	case c.Root != last.Root:
		return ErrForked
	default:
		return nil // the same one, perhaps with other cosignatures
	}
}

// add appends an entry to the tree, and writes the tiles that it makes full.
func (a *Archive) add(e audit.LogEntry) error {
	if e.Index != a.Size() || len(a.expected) == 0 {
		return ErrGap
	}
	if len(e.Body) > audit.MaxBody || len(e.Body) == 0 && e.Leaf == (audit.Hash{}) {
		return fmt.Errorf("entry %d: neither a body nor the hash of one", e.Index)
	}
	leaf := e.Leaf
	if len(e.Body) > 0 {
		leaf = audit.LeafHash(e.Body)
		a.bodies++
	}
	a.bundle = audit.AppendBundle(a.bundle, e.Body)
	return a.edge.push(0, leaf, a.writeFull)
}

func (a *Archive) writeFull(t tlog.Tile, hashes []audit.Hash) error {
	a.writer.put(audit.TilePath(t), audit.TileData(hashes))
	if t.L == 0 {
		a.writeBundle(t)
		a.bundle, a.bodies = nil, 0
	}
	return nil
}

// writeBundle writes the bundle beside a tile at level 0. There is none where every
// body of it was dropped.
func (a *Archive) writeBundle(t tlog.Tile) {
	if a.bodies > 0 {
		t.L = audit.EntriesLevel
		a.writer.put(audit.TilePath(t), a.bundle)
	}
}

// arrive compares the tree with the checkpoint of its size, if there is one, and
// commits it. Where the batch in hand leads up to a later checkpoint, that one is
// enough.
func (a *Archive) arrive(end int64) error {
	if len(a.expected) == 0 || a.expected[0].Size != a.Size() {
		return nil
	}
	if a.edge.root() != a.expected[0].Root {
		return ErrForked
	}
	next := a.expected[0]
	a.expected = a.expected[1:]
	if len(a.expected) > 0 && a.expected[0].Size <= end {
		return nil
	}
	return a.commit(next)
}

// commit makes the folder the log at a checkpoint whose root the tree has.
func (a *Archive) commit(next signedCheckpoint) error {
	a.committing = true
	for l, level := range a.edge.levels {
		if len(level.hashes) == 0 {
			continue
		}
		t := tlog.Tile{H: audit.TileHeight, L: l, N: level.full, W: len(level.hashes)}
		a.writer.put(audit.TilePath(t), audit.TileData(level.hashes))
		if l == 0 {
			a.writeBundle(t) // what it has is not changed when it grows
		}
	}
	if err := a.writer.flush(); err != nil {
		return err
	}
	// Every tile and bundle up to next is durable, under its name. If we die here, the
	// old checkpoint stands and all its tiles are there: none was written over, since
	// one that has changed has another width, and so another name.
	if err := a.disk.Put(freshFile, next.signed); err != nil {
		return err
	}
	// If we die here, there is one file more, which the next run writes anew.
	if err := a.disk.Rename(freshFile, checkpointFile); err != nil {
		return err
	}
	// If we die here, either checkpoint may stand after the crash, and the tiles of both
	// are there.
	if err := a.disk.SyncFolder("."); err != nil {
		return err
	}
	// The new checkpoint stands for good. If we die here, partial tiles that became full
	// stay: true still, only not needed.
	old := a.head.Size
	a.signed, a.head, a.committing = next.signed, next.Checkpoint, false
	return a.removePartial(old)
}

// removePartial removes the partial tiles of which the full one is there now. C2SP
// tlog-tiles, "Partial Tiles": logs "MAY delete any partial tile once the
// corresponding full tile is […] available".
func (a *Archive) removePartial(old int64) error {
	for l := 0; shift(old, l+1) < shift(a.head.Size, l+1); l++ {
		for _, full := range tilesAt(l, shift(old, l+1)) {
			if err := a.disk.RemoveAll(audit.TilePath(full) + ".p"); err != nil {
				return err
			}
		}
	}
	return nil
}
