package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// DefaultMaxSkew is how much older than the newest entry before it an entry may be.
// Replicas have clocks of their own, and what they wrote while nothing could be
// sequenced comes into the log one replica after the other.
const DefaultMaxSkew = 15 * time.Minute

// Options is what to verify with.
type Options struct {
	// Keys of the log. A good signature by one of them is wanted.
	Keys []note.Verifier
	// Since is an earlier checkpoint of the log, signed by one of Keys too: the log
	// must begin with what it was then. Nil: there is none.
	Since []byte
	// Witnesses is who must have cosigned the checkpoint. Nil: nobody.
	Witnesses Witnesses
	// MaxSkew bounds how far back the time may go from one entry to later ones; 0 is
	// DefaultMaxSkew.
	MaxSkew time.Duration
}

// Witnesses is a policy of C2SP tlog-policy.
type Witnesses interface {
	// Satisfied reports whether a quorum of witnesses cosigned the checkpoint.
	Satisfied(checkpoint []byte) bool
}

// Verify checks all of a folder: that the log signed its checkpoint; that entries,
// tiles and checkpoint are one Merkle tree; that nothing is missing and nothing else
// is there; that every entry is one the vault writes; that each replica's entries
// follow each other from its first on; that their times are in order; and that none
// holds a card number.
//
// It reads everything once, in memory that does not grow with the log but with the
// number of replicas alone. What is wrong stands in the report; an error says that
// the folder could not be read, that it changed meanwhile (ErrChanged), or that
// Options are of no use.
func Verify(ctx context.Context, folder fs.FS, o Options) (*Report, error) {
	if len(o.Keys) == 0 {
		return nil, errors.New("verify: no key of the log")
	}
	v := &verifier{
		folder: folder, maxSkew: o.MaxSkew,
		report: &Report{Findings: []Finding{}, Counts: map[Class]int64{}},
		chains: chains{ends: map[replica]chainEnd{}},
	}
	if v.maxSkew == 0 {
		v.maxSkew = DefaultMaxSkew
	}
	if o.Since != nil {
		since, err := audit.OpenCheckpoint(o.Since, o.Keys...)
		if err != nil {
			return nil, fmt.Errorf("the earlier checkpoint: %w", err)
		}
		v.since, v.report.Since = &since, &since.Size
	}
	readable, err := v.checkHead(o)
	if err == nil && readable {
		err = v.checkLog(ctx)
	}
	if err == nil && !v.report.Good() {
		err = v.checkUnchanged()
	}
	return v.report, err
}

// ErrChanged is returned by Verify if an export went on in the folder meanwhile, and
// something seemed to be wrong: nothing can be said then.
var ErrChanged = errors.New("the folder was written to while it was read")

// checkUnchanged returns ErrChanged where the checkpoint is not the one of before.
func (v *verifier) checkUnchanged() error {
	signed, err := readFile(v.folder, checkpointFile, maxNote)
	if err == nil && !bytes.Equal(signed, v.signed) {
		return ErrChanged
	}
	return nil
}

// verifier is one run of Verify.
type verifier struct {
	folder  fs.FS
	maxSkew time.Duration
	since   *audit.Checkpoint
	report  *Report
	signed  []byte // the checkpoint

	edge    edge
	chains  chains
	clock   clock
	dropped dropped
}

// checkLog checks the log that the checkpoint speaks of.
func (v *verifier) checkLog(ctx context.Context) error {
	stopped, err := v.checkPieces(ctx)
	if err != nil {
		return err
	}
	v.clock.flush(v.report)
	if !stopped {
		if err := v.checkRoot(); err != nil {
			return err
		}
	}
	if err := v.checkDropped(); err != nil {
		return err
	}
	v.report.Chains = len(v.chains.ends)
	return v.checkExtra(ctx)
}

// checkPieces goes through the log in order; it stops where tiles are missing by the
// hundred, as with a checkpoint that makes its size up.
func (v *verifier) checkPieces(ctx context.Context) (stopped bool, err error) {
	pieces := (v.report.Size + audit.TileWidth - 1) >> audit.TileHeight
	for p := range inOrder(pieces, v.read) {
		if err := errors.Join(p.err, ctx.Err()); err != nil {
			return false, err
		}
		if err := v.take(p); err != nil {
			return false, err
		}
		if v.report.Counts[ClassMissing] > maxFindings {
			return true, nil
		}
	}
	return false, nil
}

// take adds the next piece to what was seen so far.
func (v *verifier) take(p piece) error {
	for _, f := range p.findings {
		v.report.add(f)
	}
	v.checkSince(p.leaves)
	for _, r := range p.dropped {
		v.dropped.add(r)
	}
	for i := range p.entries {
		v.takeEntry(&p.entries[i])
	}
	if len(p.leaves) == audit.TileWidth {
		return v.edge.skip(p.root, v.checkTile)
	}
	for _, h := range p.leaves {
		if err := v.edge.push(0, h, v.checkTile); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) takeEntry(e *entry) {
	v.report.Entries++
	v.clock.see(e, v.maxSkew, v.report)
	v.chains.follow(e, v.dropped.count > 0, v.report)
	v.dropped.allow(e)
}

// checkTile compares a tile above the leaves with the hashes of the tiles that it
// stands for, and fills in those that are not known.
func (v *verifier) checkTile(t tlog.Tile, hashes []audit.Hash) error {
	if t.L == 0 {
		return nil // a piece has been compared with its tile
	}
	stored, err := v.readTile(t)
	if err != nil || stored == nil {
		return err
	}
	wrong := -1
	for i, h := range slices.Backward(hashes) {
		if h == (audit.Hash{}) {
			hashes[i] = stored[i]
		} else if h != stored[i] {
			wrong = i
		}
	}
	if wrong >= 0 {
		v.report.find(ClassTree, audit.TilePath(t), "hash %d is not that of the tile below it", wrong)
	}
	return nil
}

// readTile reads a tile; nil: it is not there, or no tile, and has been reported.
func (v *verifier) readTile(t tlog.Tile) ([]audit.Hash, error) {
	hashes, err := readTile(v.folder, t)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.report.find(ClassMissing, audit.TilePath(t), "there is no such tile")
	case errors.Is(err, errTile):
		v.report.find(ClassTree, audit.TilePath(t), "the file is not %d hashes long", t.W)
	default:
		return hashes, err
	}
	return nil, nil
}

// checkRoot compares the last tiles of each level, and then the root with the
// checkpoint's.
func (v *verifier) checkRoot() error {
	for l := range v.edge.levels {
		level := &v.edge.levels[l]
		if len(level.hashes) == 0 {
			continue
		}
		t := tlog.Tile{H: audit.TileHeight, L: l, N: level.full, W: len(level.hashes)}
		if err := v.checkTile(t, level.hashes); err != nil {
			return err
		}
	}
	if root := v.edge.root(); root != v.report.Root && root != (audit.Hash{}) {
		v.report.find(ClassTree, checkpointFile, "the tiles make up another tree than the one that was signed")
	}
	return nil
}

// checkSince compares the tree with the earlier checkpoint, once the next leaves
// reach its size.
func (v *verifier) checkSince(next []audit.Hash) {
	size := v.edge.size()
	if v.since == nil || v.since.Size > size+int64(len(next)) {
		return
	}
	root := v.edge.rootAt(next[:v.since.Size-size])
	if root != v.since.Root && root != (audit.Hash{}) {
		v.report.find(ClassInconsistent, checkpointFile,
			"the log does not begin with the %d entries that it had at the earlier checkpoint", v.since.Size)
	}
	v.since = nil
}
