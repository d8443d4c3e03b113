package ledger

import (
	"errors"
	"fmt"
)

var (
	// ErrNoCheckpoint is returned if no checkpoint was published yet.
	ErrNoCheckpoint = errors.New("the log has no checkpoint yet")
	// ErrNoEntry is returned if the newest checkpoint covers no such entry.
	ErrNoEntry = errors.New("no checkpoint covers such an entry")
	// ErrDropped is returned if the body of an entry was dropped by the retention
	// policy.
	ErrDropped = errors.New("the entry was dropped by the retention policy")
)

// HaltedError is why a replica no longer trusts the log in the store. There is no
// way back but for an operator to find out what happened.
type HaltedError struct {
	// Reason is one sentence.
	Reason string
}

// Error implements error.
func (e *HaltedError) Error() string { return e.Reason }

func rolledBack(from, to int64) *HaltedError {
	return &HaltedError{fmt.Sprintf("the audit log was rolled back from %d to %d entries", from, to)}
}

func forked(size int64, witness string) *HaltedError {
	return &HaltedError{fmt.Sprintf("the audit log was forked: its first %d entries are not those that %s", size, witness)}
}

func unsigned(err error) *HaltedError {
	return &HaltedError{fmt.Sprintf("the checkpoint of the audit log is not signed by the log's key: %v", err)}
}

func forged(index int64, err error) *HaltedError {
	return &HaltedError{fmt.Sprintf("the audit log was extended by hand: entry %d is not of a replica's sealed chain: %v", index, err)}
}

// TamperedError says that the store holds something else than the checkpoint
// covers.
type TamperedError struct {
	// Index of the entry; -1 where the tiles of the tree are altered, so that it
	// could be any.
	Index int64
	Err   error
}

// Error implements error.
func (e *TamperedError) Error() string {
	if e.Index < 0 {
		return fmt.Sprintf("the stored audit log was altered: %v", e.Err)
	}
	return fmt.Sprintf("entry %d of the stored audit log was altered: %v", e.Index, e.Err)
}

// Unwrap returns Err.
func (e *TamperedError) Unwrap() error { return e.Err }

// What is found altered.
var (
	errTiles = errors.New("its tiles do not have the hashes that the tree has")
	errBody  = errors.New("the body is not the one that was hashed")
	errGone  = errors.New("the body is gone, and was not dropped")
	errIndex = errors.New("no entry is stored under this index")
	errPlace = errors.New("what the log has of the chain is not what the store says")
	errTail  = errors.New("the chain does not lead to its tail")
	errSeal  = errors.New("the chain has no seal, and the log is not new")
)
