package witness

import (
	"errors"
	"fmt"

	"github.com/cardvault/cardvault/vault/audit"
)

var (
	// ErrForked is what a ForkedError is if the log's tree does not extend one of its
	// own past: history was changed.
	ErrForked = errors.New("the log was forked")
	// ErrAhead is what a ForkedError is if the log has signed a larger tree than the
	// one that a cosignature was asked for. Either the log was rolled back, or another
	// replica has gone on since: its committed head, read after this error, tells.
	ErrAhead = errors.New("the log has signed a larger tree")
	// ErrDisputed is part of ErrNoQuorum if a witness refused as it would refuse a
	// forked log, and showed no evidence. It may be wrong, or not show its checkpoints
	// to anyone: a person has to ask its operators.
	ErrDisputed = errors.New("a witness says that it has seen another log")
	// ErrNoQuorum is returned by Cosign if too few witnesses have cosigned. The error
	// names those that have not, and why.
	ErrNoQuorum = errors.New("too few witnesses have cosigned")
)

// ForkedError says that the log has signed a tree, once, that the one it shows now
// does not extend. It is no witness's mere word: Evidence bears the signature of the
// log itself.
type ForkedError struct {
	// Witness is the name of the witness that shows the evidence.
	Witness string
	// Ours is what a cosignature was asked for, and Seen what the witness had cosigned
	// before.
	Ours, Seen audit.Checkpoint
	// Evidence is Seen as a signed note, with the signatures of log and witness.
	Evidence []byte
}

// Error says who has seen what.
func (e *ForkedError) Error() string {
	return fmt.Sprintf("%v: witness %s has seen %d entries with root %v, signed by the log, and this log has %d with root %v",
		e.Unwrap(), e.Witness, e.Seen.Size, e.Seen.Root, e.Ours.Size, e.Ours.Root)
}

// Unwrap returns ErrAhead or ErrForked.
func (e *ForkedError) Unwrap() error {
	if e.Seen.Size > e.Ours.Size {
		return ErrAhead
	}
	return ErrForked
}
