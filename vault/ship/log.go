package ship

import (
	"context"
	"errors"
	"iter"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// Log is the log as its server hands it out. Nothing that it returns is believed.
type Log interface {
	// Read returns the entries from an index on and waits for those to come, until ctx
	// ends or the connection fails.
	Read(ctx context.Context, from int64) iter.Seq2[audit.Batch, error]
	// Checkpoint returns the newest published checkpoint, signed.
	Checkpoint(ctx context.Context) ([]byte, error)
	// ProveConsistency proves that the log of the second size begins with that of the
	// first.
	ProveConsistency(ctx context.Context, first, second int64) (tlog.TreeProof, error)
}

// ErrForged is returned by Run if what the server hands out is not the log that
// its key signed, or not the one that was delivered so far.
var ErrForged = errors.New("the log does not verify")

// errEnded is a stream that the server ended without an error.
var errEnded = errors.New("the server ended the stream")

// errShorter is a log shorter than what was delivered of it. A replica that is a
// moment behind says so; one that stays behind was rolled back.
var errShorter = errors.New("the log is shorter than what was delivered of it")
