package archive

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// checkExtra looks for files that do not belong in the folder. Partial tiles that
// the log had when it was shorter do, if it began as they say.
func (v *verifier) checkExtra(ctx context.Context) error {
	return fs.WalkDir(v.folder, ".", func(path string, d fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil || d.IsDir() {
			return err
		}
		return v.checkFile(path, d.Type().IsRegular())
	})
}

func (v *verifier) checkFile(path string, regular bool) error {
	t, err := audit.ParseTilePath(path)
	now := tileAt(v.report.Size, t.L, t.N)
	switch {
	case !regular:
		v.report.find(ClassExtra, path, "this is no regular file")
	case path == checkpointFile || path == KeysFile:
	case err != nil:
		v.report.find(ClassExtra, path, "no such file belongs here")
	case t.W > now.W:
		v.report.find(ClassExtra, path, "the log is not that long; an export that was cut short leaves such files, and the next one puts them right")
	case t.W < now.W:
		return v.checkEarlier(t, now)
	}
	return nil
}

// checkEarlier checks a partial tile of when the log was shorter.
func (v *verifier) checkEarlier(t, now tlog.Tile) error {
	if t.L == audit.EntriesLevel {
		return v.checkEarlierBundle(t, now)
	}
	hashes, err := v.readTile(t)
	if err != nil || hashes == nil {
		return err
	}
	longer, err := readTile(v.folder, now)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errTile) {
		return nil // has been reported
	}
	if err == nil && !slices.Equal(hashes, longer[:t.W]) {
		v.report.find(ClassTree, audit.TilePath(t), "the hashes are not those that the log has there now")
	}
	return err
}

func (v *verifier) checkEarlierBundle(t, now tlog.Tile) error {
	path := audit.TilePath(t)
	bundle, err := readFile(v.folder, path, maxBundle)
	if err != nil && !errors.Is(err, errTooLong) {
		return err
	}
	bodies, malformed := audit.ParseBundle(bundle)
	if err = errors.Join(err, malformed); err != nil || len(bodies) != t.W {
		v.report.find(ClassBundle, path, "the file is not a bundle of %d entries", t.W)
		bodies = nil
	}
	now.L = 0
	var p piece
	p.readLeaves(v.folder, now)
	for i, body := range bodies {
		switch index := now.N<<audit.TileHeight + int64(i); {
		case len(body) == 0:
			if index >= v.dropped.allowed {
				v.report.find(ClassMissing, path, "entry %d of the bundle is missing, and no entry says that it was dropped", i)
			}
		case p.leaves[i] != (audit.Hash{}) && p.leaves[i] != audit.LeafHash(body):
			v.report.find(ClassEntry, path, "entry %d of the bundle is not the one that the tree has there", i)
		}
	}
	return p.err
}
