package ledger

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// Store keeps the log: which entry stands at which index, the tiles of the tree
// over them, and its head. The entries themselves are there already.
//
// A method that takes a term writes only where that is the term in force, in the
// statement itself, and returns ErrFenced otherwise, having written nothing. Each
// write is one transaction and durable before it returns. Reads return committed
// state, at least as new as every write that returned before, on any replica.
// Methods are safe for concurrent use.
type Store interface {
	// LogHead returns the log as it stands; an empty log has the zero Head.
	LogHead(ctx context.Context) (Head, error)
	// TakeLease makes holder the sequencer, in a new term, where the head still has
	// the term and the beat of was; false: it does not.
	TakeLease(ctx context.Context, was Head, holder uuid.UUID) (Head, bool, error)
	// RenewLease adds one to the beat.
	RenewLease(ctx context.Context, term int64) error

	// ListGrown returns up to limit chains whose tails are not where the log has them:
	// beyond it, or, by nobody's doing who has a right to, before it.
	ListGrown(ctx context.Context, limit int) ([]Grown, error)
	// ChainRecords returns up to limit records of a chain, from number on.
	ChainRecords(ctx context.Context, replica uuid.UUID, number int64, limit int) ([]audit.Record, error)
	// ChainTail returns the tail of a chain as its replica last sealed it; false: the
	// chain has none.
	ChainTail(ctx context.Context, replica uuid.UUID) (audit.Tail, bool, error)
	// ExtendLog appends to the log, adding one to the beat. ErrFenced also where the
	// log's size is not x.Size.
	ExtendLog(ctx context.Context, term int64, x Extension) error
	// Publish replaces the checkpoint.
	Publish(ctx context.Context, term int64, checkpoint []byte) error
	// DropEntries deletes the entries with an index below first, up to limit of them,
	// in order, and says so in the head; runs and tiles stay. It returns the head's
	// new First.
	DropEntries(ctx context.Context, term, first int64, limit int) (int64, error)

	// Tiles returns the hashes of tiles, as many of each as there are: the width asked
	// for does not matter. A tile that does not exist has none.
	Tiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error)
	// ListLog returns up to limit entries from index on, in order. Those that were
	// dropped have a record with Replica and Number alone.
	ListLog(ctx context.Context, index int64, limit int) ([]Entry, error)
	// IndexOf returns the index of an entry; false: the log does not have it.
	IndexOf(ctx context.Context, replica uuid.UUID, number int64) (int64, bool, error)
}

// ErrFenced is returned by a Store if another replica has become the sequencer.
var ErrFenced = errors.New("another replica sequences the log")

// Head is where a log stands. It is one row.
type Head struct {
	// Size is how many entries have an index.
	Size int64
	// First is the index of the first entry that was not dropped.
	First int64
	// Term counts the sequencers, Holder is the one in force, and Beat goes on as long
	// as it lives.
	Term, Beat int64
	Holder     uuid.UUID
	// Checkpoint is the last one published, signed; nil: none yet. It covers entries
	// up to its own size, which may be less than Size.
	Checkpoint []byte
}

// Grown is a chain with entries that are not in the log yet: those from Next to the
// tail's Number. Where the tail is before Next, somebody edited either.
type Grown struct {
	Tail audit.Tail
	Next int64
	// Prev is the leaf hash of entry Next-1; zero where Next is 0.
	Prev audit.Hash
}

// Extension is what one step of the sequencer appends.
type Extension struct {
	// Size of the log before.
	Size int64
	Runs []Run
	// Tiles are those that change, whole, from their first hash on.
	Tiles []Tile
}

// Run is consecutive entries of one chain with consecutive indexes.
type Run struct {
	// First index, and the number of the entry that has it.
	First   int64
	Replica uuid.UUID
	Number  int64
	Count   int
	// Head is the leaf hash of the last entry.
	Head audit.Hash
}

// Tile is the hashes of a tile of tlog-tiles.
type Tile struct {
	Level  int
	Index  int64
	Hashes []byte
}

// Entry is an entry with its place in the log.
type Entry struct {
	Index  int64
	Record audit.Record
}
