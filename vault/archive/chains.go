package archive

import (
	"time"

	"github.com/cardvault/cardvault/vault/audit"
)

// chains is where each replica's entries end so far.
type chains struct {
	ends map[replica]chainEnd
	// links lead into entries that were dropped; see verifier.checkLinks.
	links []link
}

type chainEnd struct {
	next int64 // number
	head audit.Hash
	last time.Time
}

// link is an entry whose replica's entry before is not there to be read.
type link struct {
	index, number int64
	replica       replica
	prev          audit.Hash
}

// follow checks that an entry follows the one before of its replica, and takes it as
// the end in any case: one that is wrong does not make all after it wrong. Where
// entries were dropped, numbers may be left out.
func (c *chains) follow(e *entry, dropped bool, r *Report) {
	end := c.ends[e.replica]
	switch {
	case e.number > end.next && dropped:
		c.links = append(c.links, link{index: e.index, number: e.number, replica: e.replica, prev: e.prev})
	case e.number != end.next:
		r.findAt(ClassChain, e.index, "replica %s: entry %d follows where entry %d should", e.replica, e.number, end.next)
	case e.prev != end.head:
		r.findAt(ClassChain, e.index, "replica %s: entry %d was written after another entry than the one before it", e.replica, e.number)
	}
	if e.time.Before(end.last) {
		r.findAt(ClassChain, e.index, "replica %s: entry %d is older than the one before it", e.replica, e.number)
	}
	c.ends[e.replica] = chainEnd{next: e.number + 1, head: e.leaf, last: e.time}
}

// clock is how late it was so far.
type clock struct {
	newest time.Time
	at     int64 // index of the entry that says so

	// late entries in a row, which are one finding.
	late, lateFrom int64
	worst          time.Duration
}

// see checks the time of the next entry.
func (c *clock) see(e *entry, maxSkew time.Duration, r *Report) {
	if r.Entries == 1 || e.time.Before(r.First) {
		r.First = e.time
	}
	if r.Entries == 1 || e.time.After(c.newest) {
		c.newest, c.at = e.time, e.index
	}
	r.Last = c.newest
	back := c.newest.Sub(e.time)
	if back <= maxSkew {
		c.flush(r)
		return
	}
	if c.late == 0 {
		c.lateFrom = e.index
	}
	c.late++
	c.worst = max(c.worst, back)
}

// flush reports the late entries before.
func (c *clock) flush(r *Report) {
	if c.late > 0 {
		r.findAt(ClassTime, c.lateFrom, "entries in a row that are older than entry %d before them, by up to %s: %d",
			c.at, c.worst.Round(time.Second), c.late)
	}
	c.late, c.worst = 0, 0
}
