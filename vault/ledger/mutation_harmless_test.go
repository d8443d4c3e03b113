package ledger_test

import (
	"bytes"
	"slices"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
)

// harmless returns why nobody has to notice changes: no reader is told anything else
// for them, now or later, and no entry is left out of the log but for those of lost
// chains. False: somebody has to.
func (v *world) harmless(done []change, now tables) (why string, lost map[uuid.UUID]bool, ok bool) {
	lost = map[uuid.UUID]bool{}
	for _, w := range v.writers {
		if v.losing(w, now) {
			lost[w.id] = true
		}
	}
	for _, c := range done {
		w := v.chainOf(c)
		switch {
		case w != nil && lost[w.id] && v.waiting(w, c):
			why = "what a replica that died left waiting was known to the database alone"
		case c.name == "log_head":
			why = v.harmlessHead(c)
		case c.name == "audit_chains" && w != nil:
			why = v.harmlessTail(c, w, now)
		case c.name == "log_chains":
			why = v.harmlessPlace(w, now)
		case c.name == "audit_entries" && c.old == nil:
			why = v.harmlessEntry(c, w)
		case c.name == "log_tiles":
			why = harmlessTile(c)
		default:
			why = ""
		}
		if why == "" {
			return "", nil, false
		}
	}
	return why, lost, true
}

// chainOf returns the chain that a row is about; nil: there is none.
func (v *world) chainOf(c change) *writer {
	i := c.column("replica")
	if i < 0 {
		return nil
	}
	r := c.old
	if r == nil {
		r = c.now
	}
	return v.chain(r[i].([]byte))
}

func (v *world) chain(replica []byte) *writer {
	i := slices.IndexFunc(v.writers, func(w *writer) bool { return bytes.Equal(w.id[:], replica) })
	if i < 0 {
		return nil
	}
	return v.writers[i]
}

// sequenced returns how many entries of a chain the log had.
func (v *world) sequenced(w *writer) int64 {
	for _, r := range v.base["log_chains"] {
		if bytes.Equal(r[0].([]byte), w.id[:]) {
			return r[1].(int64)
		}
	}
	return 0
}

// losing reports whether a chain that ended with entries waiting is left so for
// ever: its tail is gone, or an older one is back, which its replica sealed too, or
// the log seems to have it whole.
func (v *world) losing(w *writer, now tables) bool {
	if !v.ended[w.id] || v.sequenced(w) == int64(len(w.bodies)) {
		return false
	}
	i := slices.IndexFunc(now["audit_chains"], func(r row) bool { return bytes.Equal(r[0].([]byte), w.id[:]) })
	return seemsWhole(w.id, now) || v.genuine(now["audit_chains"][i])
}

func (v *world) genuine(tail row) bool {
	return slices.ContainsFunc(v.tails, func(r row) bool { return slices.EqualFunc(r, tail, sameValue) })
}

// waiting reports whether a change is about what a chain has waiting.
func (v *world) waiting(w *writer, c change) bool {
	switch c.name {
	case "audit_entries":
		return c.old == nil || c.old[1].(int64) >= v.sequenced(w)
	case "audit_chains", "log_chains":
		return true
	}
	return false
}

// harmlessHead: the row says who leads and where the log stands.
func (v *world) harmlessHead(c change) string {
	if c.old == nil || c.now == nil {
		return ""
	}
	why := ""
	for i, column := range c.columns {
		if sameValue(c.old[i], c.now[i]) {
			continue
		}
		switch column {
		case "term", "beat", "holder":
			why = "who leads is not what the log says"
		case "first":
			why = "bodies that are there are shown"
		case "checkpoint":
			if !v.sameSignatures(c.old[i], c.now[i]) {
				return ""
			}
			why = "the same signatures in other base64"
		default:
			return ""
		}
	}
	return why
}

// sameSignatures: base64 has bits at its end that mean nothing.
func (v *world) sameSignatures(a, b any) bool {
	old, _ := a.([]byte)
	now, _ := b.([]byte)
	keys := note.VerifierList(v.key.verifier, v.witnessed)
	one, err := note.Open(old, keys)
	if err != nil {
		return false
	}
	other, err := note.Open(now, keys)
	return err == nil && one.Text == other.Text && len(one.Sigs) == len(other.Sigs)
}

const wholeChain = "of an ended chain that the log has whole nothing is read again"

// harmlessTail: a tail is read where it is not where the log has its chain.
func (v *world) harmlessTail(c change, w *writer, now tables) string {
	switch {
	case v.ended[w.id] && v.idle(w, now):
		return wholeChain
	case v.ended[w.id]:
		return ""
	case c.now != nil && (!sameValue(c.old[4], c.now[4]) || !sameValue(c.old[5], c.now[5])):
		return ""
	}
	return "the replica writes its tail anew with each commit"
}

// harmlessPlace: so is where the log has a chain.
func (v *world) harmlessPlace(w *writer, now tables) string {
	switch {
	case w == nil:
		return "there is no such chain"
	case v.ended[w.id] && v.idle(w, now):
		return wholeChain
	}
	return ""
}

// idle reports whether the log had the whole chain, and still seems to.
func (v *world) idle(w *writer, now tables) bool {
	return v.sequenced(w) == int64(len(w.bodies)) && seemsWhole(w.id, now)
}

// seemsWhole reports whether the log seems to have the chain up to its tail.
func seemsWhole(id uuid.UUID, now tables) bool {
	is := func(r row) bool { return bytes.Equal(r[0].([]byte), id[:]) }
	tail := slices.IndexFunc(now["audit_chains"], is)
	if tail < 0 {
		return true
	}
	next := int64(0)
	if i := slices.IndexFunc(now["log_chains"], is); i >= 0 {
		next = now["log_chains"][i][1].(int64)
	}
	return now["audit_chains"][tail][1].(int64)+1 == next
}

// harmlessEntry: entries are taken into the log up to the sealed tail alone.
func (v *world) harmlessEntry(c change, w *writer) string {
	if w == nil || c.now[1].(int64) < 0 || c.now[1].(int64) >= int64(len(w.bodies)) {
		return "no sealed tail leads to it"
	}
	return ""
}

// harmlessTile: of a tile as many hashes are read as the tree has.
func harmlessTile(c change) string {
	if c.old != nil && c.now != nil {
		if bytes.HasPrefix(c.now[2].([]byte), c.old[2].([]byte)) {
			return "the tree has no more hashes"
		}
		return ""
	}
	if c.old == nil {
		return "the tree has no such tile"
	}
	return ""
}
