package archive

import (
	"github.com/cardvault/cardvault/vault/audit"
)

// pruneAction is what the server records before it drops entries. Its Index is the
// first one kept.
const pruneAction = "PruneLog"

// span is entries from index from to below to.
type span struct{ from, to int64 }

// dropped is the entries of which there is a leaf alone.
type dropped struct {
	spans []span // in order; those that touch are one
	count int64
	// allowed is the index below which an entry of the log says that they were dropped.
	allowed int64
}

func (d *dropped) add(s span) {
	d.count += s.to - s.from
	if last := len(d.spans) - 1; last >= 0 && d.spans[last].to == s.from {
		d.spans[last].to = s.to
		return
	}
	d.spans = append(d.spans, s)
}

// pruned returns the first index that was kept, if the entry says that others were
// dropped. Only the server itself can say so: a caller's entry has a principal.
func pruned(e *audit.Entry) int64 {
	if e.Action != pruneAction || e.Decision != audit.Allow || e.Principal != "" {
		return 0
	}
	return e.Index
}

// allow takes note of an entry that says what was dropped before it.
func (d *dropped) allow(e *entry) {
	if e.prunes <= e.index {
		d.allowed = max(d.allowed, e.prunes)
	}
}

// checkDropped reports the entries that nobody said were dropped, and checks that
// chains which have lost entries do follow entries that were dropped.
func (v *verifier) checkDropped() error {
	for _, s := range v.dropped.spans {
		if s.to > v.dropped.allowed {
			from := max(s.from, v.dropped.allowed)
			v.report.findAt(ClassMissing, from, "entries are missing, and no later one says that they were dropped: %d", s.to-from)
		}
		v.report.Dropped += max(0, min(s.to, v.dropped.allowed)-s.from)
	}
	if len(v.chains.links) == 0 {
		return nil
	}
	return v.checkLinks()
}

// checkLinks looks for the entries that others were written after among the leaves
// of those that were dropped.
func (v *verifier) checkLinks() error {
	found := map[audit.Hash]int64{} // the index of a leaf; of those not found yet, none
	for _, l := range v.chains.links {
		found[l.prev] = NoIndex
	}
	for _, s := range v.dropped.spans {
		if err := v.eachLeaf(s, func(index int64, leaf audit.Hash) {
			if at, wanted := found[leaf]; wanted && at == NoIndex {
				found[leaf] = index
			}
		}); err != nil {
			return err
		}
	}
	for _, l := range v.chains.links {
		if at := found[l.prev]; at == NoIndex || at >= l.index {
			v.report.findAt(ClassChain, l.index,
				"replica %s: the entry before entry %d is neither there nor among those that were dropped", l.replica, l.number)
		}
		found[l.prev] = NoIndex // only one entry comes next
	}
	return nil
}

// eachLeaf calls what with the leaves of a span, as far as there are tiles.
func (v *verifier) eachLeaf(s span, what func(index int64, leaf audit.Hash)) error {
	for n := shift(s.from, 1); n<<audit.TileHeight < s.to; n++ {
		var p piece
		p.readLeaves(v.folder, tileAt(v.report.Size, 0, n))
		if p.err != nil {
			return p.err
		}
		for i, leaf := range p.leaves {
			if index := n<<audit.TileHeight + int64(i); index >= s.from && index < s.to {
				what(index, leaf)
			}
		}
	}
	return nil
}
