package audit

import (
	"errors"
	"fmt"
	"iter"

	"github.com/google/uuid"
)

// What is wrong with a chain, besides ErrMalformed.
var (
	// ErrColumn: a record's column says otherwise than its body.
	ErrColumn = errors.New("a column differs from the body")
	// ErrReplica: the entry is of another replica's chain.
	ErrReplica = errors.New("entry of another replica")
	// ErrNumber: an entry is missing, doubled or out of place.
	ErrNumber = errors.New("number does not follow the entry before")
	// ErrPrev: the entry before is not the one that this one was written after.
	ErrPrev = errors.New("hash of the entry before differs")
	// ErrTime: the entry is older than the one before.
	ErrTime = errors.New("time runs backwards")
)

// ChainError says at which record a chain breaks. Err is ErrMalformed or one of
// those above.
type ChainError struct {
	Replica uuid.UUID
	Number  int64
	Err     error
}

func chainError(at Record, err error) error {
	return &ChainError{Replica: at.Replica, Number: at.Number, Err: err}
}

// Error implements error.
func (e *ChainError) Error() string {
	return fmt.Sprintf("audit entry %d of replica %s: %v", e.Number, e.Replica, e.Err)
}

// Unwrap returns Err.
func (e *ChainError) Unwrap() error { return e.Err }

// VerifyChain checks that records are one replica's whole chain, from number 0
// on, and returns its end. The first record that does not fit is named by a
// [*ChainError]; an error of the sequence itself is returned as it is.
//
// A chain shows every change but to its own end: entries cut from the tail, or
// the last one edited. Those show in the Head and Len of the chain returned, to
// whoever remembers them from elsewhere.
func VerifyChain(records iter.Seq2[Record, error]) (Chain, error) {
	var c Chain
	for r, err := range records {
		if err != nil {
			return Chain{}, err
		}
		if c.next == 0 {
			c = NewChain(r.Replica)
		}
		if c, err = c.follow(r); err != nil {
			return Chain{}, chainError(r, err)
		}
	}
	return c, nil
}

// follow returns the chain with one more record, or what is wrong with it.
func (c Chain) follow(r Record) (Chain, error) {
	e, err := r.Entry()
	switch {
	case err != nil:
		return Chain{}, err
	case e.Replica != c.replica:
		return Chain{}, ErrReplica
	case e.Number != c.next:
		return Chain{}, ErrNumber
	case e.Prev != c.head:
		return Chain{}, ErrPrev
	case e.Time.Before(c.last):
		return Chain{}, ErrTime
	}
	return Chain{replica: c.replica, next: c.next + 1, head: LeafHash(r.Body), last: e.Time}, nil
}
