package audit

import (
	"time"

	"github.com/google/uuid"
)

// Record is what a store keeps of an entry: its body, and columns derived from
// the body to search by. The columns prove nothing; see [Record.Entry].
type Record struct {
	Replica uuid.UUID
	Number  int64
	Time    time.Time
	Tenant  string
	Body    []byte
}

// Entry returns what the body says. It refuses a malformed body with
// ErrMalformed and a column that says otherwise than the body with ErrColumn.
func (r Record) Entry() (Entry, error) {
	e, err := Parse(r.Body)
	if err != nil {
		return Entry{}, err
	}
	if r.Replica != e.Replica || r.Number != e.Number || !r.Time.Equal(e.Time) || r.Tenant != e.Tenant {
		return Entry{}, ErrColumn
	}
	return e, nil
}

// Chain is the end of a replica's chain. It is a value: Append returns the
// longer chain and leaves the shorter one as it was, so that a writer whose
// commit failed goes on from the one it holds. The zero Chain is the empty chain
// of no replica.
type Chain struct {
	replica uuid.UUID
	next    int64
	head    Hash
	last    time.Time
}

// NewChain returns the empty chain of a replica.
func NewChain(replica uuid.UUID) Chain { return Chain{replica: replica} }

// ResumeChain returns the chain that ends with last. It refuses a record that
// [Record.Entry] refuses: a chain is never grown from an edited end.
func ResumeChain(last Record) (Chain, error) {
	e, err := last.Entry()
	if err != nil {
		return Chain{}, chainError(last, err)
	}
	return Chain{replica: e.Replica, next: e.Number + 1, head: LeafHash(last.Body), last: e.Time}, nil
}

// Append makes e the next entry of the chain, at the time now or, where the
// clock went backwards, at that of the entry before. It fills in Replica,
// Number, Prev and Time, whatever e had there.
func (c Chain) Append(e Entry, now time.Time) (Chain, Record) {
	now = now.UTC().Truncate(time.Microsecond)
	if now.Before(c.last) {
		now = c.last
	}
	e.Replica, e.Number, e.Prev, e.Time = c.replica, c.next, c.head, now
	e.Tenant = clean(e.Tenant, maxText)

	body := e.Encode()
	record := Record{Replica: e.Replica, Number: e.Number, Time: e.Time, Tenant: e.Tenant, Body: body}
	return Chain{replica: c.replica, next: c.next + 1, head: LeafHash(body), last: now}, record
}

// Head returns the leaf hash of the chain's last entry; the zero Hash where
// there is none.
func (c Chain) Head() Hash { return c.head }

// Len returns how many entries the chain has, which is the next one's number.
func (c Chain) Len() int64 { return c.next }
