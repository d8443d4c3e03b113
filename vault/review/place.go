package review

import (
	"cmp"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault/audit"
)

// Place is where an entry stands, for whoever wants to see it and prove it.
type Place struct {
	Time time.Time `json:"time"`
	// Index in the log; negative where it is not known.
	Index int64 `json:"index"`
	// Replica and Number are the entry's receipt.
	Replica uuid.UUID `json:"replica"`
	Number  int64     `json:"number"`
}

func placeOf(index int64, e audit.Entry) Place {
	return Place{Time: e.Time, Index: index, Replica: e.Replica, Number: e.Number}
}

// Receipt returns replica and number as the commands take them.
func (p Place) Receipt() string { return p.Replica.String() + "/" + strconv.FormatInt(p.Number, 10) }

// compare orders places by time. Entries of the same time have one order too, so
// that the order in which they are read does not matter.
func (p Place) compare(q Place) int {
	return cmp.Or(
		p.Time.Compare(q.Time), cmp.Compare(p.Index, q.Index),
		cmp.Compare(string(p.Replica[:]), string(q.Replica[:])), cmp.Compare(p.Number, q.Number),
	)
}

// isZero reports whether p is the place of no entry.
func (p Place) isZero() bool { return p == Place{} }

// span is the first and the last of some places.
type span struct{ first, last Place }

func (s *span) add(p Place) {
	if s.first.isZero() || p.compare(s.first) < 0 {
		s.first = p
	}
	if s.last.isZero() || p.compare(s.last) > 0 {
		s.last = p
	}
}
