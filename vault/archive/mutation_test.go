package archive_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/cardvault/cardvault/vault/archive"
	"github.com/cardvault/cardvault/vault/audit"
)

// attack is somebody who edits a folder.
type attack struct {
	*sample
	files fstest.MapFS
	dice  *dice
}

// mutation changes the files, or returns false where it would change nothing.
type mutation struct {
	name string
	make func(a *attack) bool
}

// mutations are what somebody can do who has the folder alone; further down, what
// one can do who has the log's own key besides.
func mutations() []mutation {
	return []mutation{
		{"flip a bit", func(a *attack) bool {
			name := a.file("")
			i := a.dice.below(len(a.files[name].Data))
			a.files[name].Data[i] ^= 1 << a.dice.below(8)
			return true
		}},
		{"overwrite some bytes", func(a *attack) bool {
			name := a.file("")
			data := a.files[name].Data
			before := bytes.Clone(data)
			for i := a.dice.below(len(data)); i < len(data) && !a.dice.oneIn(40); i++ {
				data[i] = byte(a.dice.roll())
			}
			return !bytes.Equal(before, data)
		}},
		{"drop a file", func(a *attack) bool {
			name := a.file("")
			// Partial tiles of before may be dropped.
			if strings.Contains(name, ".p/") && !slices.Contains(names(a.log.size()), name) {
				return false
			}
			delete(a.files, name)
			return true
		}},
		{"cut a file short", func(a *attack) bool {
			name := a.file("")
			a.files[name].Data = a.files[name].Data[:a.dice.below(len(a.files[name].Data))]
			return true
		}},
		{"append to a file", func(a *attack) bool {
			name := a.file("")
			a.files[name].Data = append(a.files[name].Data, make([]byte, 1+a.dice.below(64))...)
			return true
		}},
		{"copy a file", func(a *attack) bool {
			name := pick(a.dice, "tile/0/900", "tile/entries/x001/000", "tile/9/000.p/1", "checkpoint.old", "tile/0/0", "tile/00/000", "tile/-2/000", "tile/0/-01")
			at(a.files, name, a.files[a.file("")].Data)
			return true
		}},
		{"move a file", func(a *attack) bool {
			from := a.file("tile/")
			at(a.files, from+"0", a.files[from].Data)
			delete(a.files, from)
			return true
		}},
		{"swap two files", func(a *attack) bool {
			kind := pick(a.dice, "", "tile/0/", "tile/entries/")
			one, other := a.file(kind), a.file(kind)
			if bytes.Equal(a.files[one].Data, a.files[other].Data) {
				return false
			}
			a.files[one], a.files[other] = a.files[other], a.files[one]
			return true
		}},
		{"swap two entries", func(a *attack) bool {
			return a.rebundle(func(b [][]byte) [][]byte {
				i, j := a.dice.below(len(b)), a.dice.below(len(b))
				b[i], b[j] = b[j], b[i]
				return b
			})
		}},
		{"double an entry", func(a *attack) bool {
			return a.rebundle(func(b [][]byte) [][]byte {
				i := a.dice.below(len(b))
				return slices.Insert(b, i, b[i])
			})
		}},
		{"put an entry over another", func(a *attack) bool {
			return a.rebundle(func(b [][]byte) [][]byte {
				b[a.dice.below(len(b))] = b[a.dice.below(len(b))]
				return b
			})
		}},
		{"leave an entry out", func(a *attack) bool {
			return a.rebundle(func(b [][]byte) [][]byte {
				i := a.dice.below(len(b))
				return slices.Delete(b, i, i+1)
			})
		}},
		{"empty an entry", func(a *attack) bool {
			if a.log.first > 0 {
				return false // it may have been dropped
			}
			return a.rebundle(func(b [][]byte) [][]byte {
				b[a.dice.below(len(b))] = nil
				return b
			})
		}},
		{"edit an entry", func(a *attack) bool {
			return a.rebundle(func(b [][]byte) [][]byte {
				i := a.dice.below(len(b))
				b[i] = a.edit(b[i])
				return b
			})
		}},
		{"edit an entry and all hashes", func(a *attack) bool {
			edited := a.editOne(a.dice.below(len(a.log.bodies)))
			keep := a.files["checkpoint"]
			a.files = folder(edited, edited.size())
			a.files["checkpoint"] = keep
			return true
		}},
		{"edit an entry, all hashes and the head", func(a *attack) bool {
			edited := a.editOne(a.dice.below(len(a.log.bodies)))
			keep := a.files["checkpoint"].Data
			a.files = folder(edited, edited.size())
			at(a.files, "checkpoint", withHead(keep, edited.head(edited.size())))
			return true
		}},
		{"edit an entry, and sign with another key", func(a *attack) bool {
			edited := a.editOne(a.dice.below(len(a.log.bodies)))
			a.files = folder(edited, edited.size())
			mallory, vkey := testKey(origin, 2)
			at(a.files, "checkpoint", sign(a.log.tb, edited.head(edited.size()), mallory))
			if a.dice.oneIn(2) {
				at(a.files, "log.vkey", []byte(vkey+"\n"))
			}
			return true
		}},
		{"edit an entry and its chain, and all hashes", func(a *attack) bool {
			edited := a.rechain(a.dice.below(len(a.log.bodies)))
			keep := a.files["checkpoint"]
			a.files = folder(edited, edited.size())
			a.files["checkpoint"] = keep
			return true
		}},
		{"drop the tail, with the head made anew", func(a *attack) bool {
			keep := a.files["checkpoint"].Data
			size := a.shorter()
			a.files = folder(a.log, size)
			at(a.files, "checkpoint", withHead(keep, a.log.head(size)))
			return true
		}},
		{"drop the tail, and sign with another key", func(a *attack) bool {
			size := a.shorter()
			a.files = folder(a.log, size)
			mallory, _ := testKey(origin, 2)
			at(a.files, "checkpoint", sign(a.log.tb, a.log.head(size), mallory))
			return true
		}},
		{"drop the tail, keeping the head", func(a *attack) bool {
			keep := a.files["checkpoint"]
			a.files = folder(a.log, a.shorter())
			a.files["checkpoint"] = keep
			return true
		}},
		{"roll back to what was signed before", func(a *attack) bool {
			a.since = a.log.checkpoint(a.log.size())
			a.files = folder(a.log, a.shorter())
			return true
		}},
		{"put an old checkpoint back", func(a *attack) bool {
			at(a.files, "checkpoint", a.log.checkpoint(a.shorter()))
			return true
		}},
		{"unsign the checkpoint", func(a *attack) bool {
			signed := a.files["checkpoint"].Data
			at(a.files, "checkpoint", signed[:bytes.Index(signed, []byte("\n\n"))+2])
			return true
		}},
		{"sign for another log", func(a *attack) bool {
			head := a.log.head(a.log.size())
			head.Origin = "other.example.com/audit"
			at(a.files, "checkpoint", sign(a.log.tb, head, a.log.signer))
			return true
		}},
		{"edit a hash, and all above", func(a *attack) bool {
			i := a.dice.below(len(a.log.bodies))
			edited := a.editOne(i)
			keep := maps.Clone(a.files)
			a.files = folder(edited, edited.size())
			for name := range a.files {
				if strings.HasPrefix(name, "tile/entries/") || name == "checkpoint" {
					a.files[name] = keep[name]
				}
			}
			return true
		}},

		// With the log's own key.
		{"fork", func(a *attack) bool {
			a.since = a.log.checkpoint(a.log.size())
			fork := a.log.rewrite(a.log.bodies[:a.shorter()])
			fork.grow(1 + len(a.log.bodies))
			a.files = folder(fork, fork.size())
			return true
		}},
		{"another log", func(a *attack) bool {
			a.since = a.log.checkpoint(a.log.size())
			a.files = folder(newLog(a.log.tb, a.dice.roll()).quicken().grow(len(a.log.bodies)), a.log.size())
			return true
		}},
		{"edit an entry that another follows, and sign", func(a *attack) bool {
			return a.insider(func(b [][]byte, i int) [][]byte { b[i] = a.edit(b[i]); return b })
		}},
		{"leave an entry out that another follows, and sign", func(a *attack) bool {
			return a.insider(func(b [][]byte, i int) [][]byte { return slices.Delete(b, i, i+1) })
		}},
		{"double an entry, and sign", func(a *attack) bool {
			return a.insider(func(b [][]byte, i int) [][]byte {
				return slices.Insert(b, i+1+a.dice.below(len(b)-i), b[i])
			})
		}},
		{"move an entry behind the one that follows it, and sign", func(a *attack) bool {
			return a.insider(func(b [][]byte, i int) [][]byte { return append(slices.Delete(slices.Clone(b), i, i+1), b[i]) })
		}},
		{"write a PAN, and sign", func(a *attack) bool {
			number := pick(a.dice, "4111111111111111", "4111 1111 1111 1111", "3782-822463-10005", ";4111111111111111=2512?")
			return a.write(0, func(e *audit.Entry) {
				*pick(a.dice, &e.Principal, &e.Purpose, &e.Policy, &e.Result, &e.Tenant, &e.View, &e.BINRange, &e.Action) = "x " + number
			})
		}},
		{"write an old entry, and sign", func(a *attack) bool {
			age := time.Hour + time.Duration(a.dice.below(1e6))*time.Second
			return a.write(age, func(*audit.Entry) {})
		}},
		{"write what is no entry, and sign", func(a *attack) bool {
			other := a.log.rewrite(a.log.bodies)
			other.append(bytes.Replace(a.log.bodies[a.dice.below(len(a.log.bodies))], []byte(`"v":1`), []byte(`"v": 1`), 1))
			a.files = folder(other, other.size())
			return true
		}},
		{"drop entries without a word, and sign", func(a *attack) bool {
			if a.log.first > 0 {
				return false
			}
			a.log.first = int64(1 + a.dice.below(len(a.log.bodies)))
			defer func() { a.log.first = 0 }()
			a.files = folder(a.log, a.log.size())
			return true
		}},
		{"drop more than was said, and sign", func(a *attack) bool {
			said := a.log.first
			if said == 0 || said > a.log.size()-2 {
				return false
			}
			a.log.first += int64(1 + a.dice.below(int(a.log.size()-said)-1))
			defer func() { a.log.first = said }()
			a.files = folder(a.log, a.log.size())
			return true
		}},
		{"have a caller say that entries were dropped, and sign", func(a *attack) bool {
			if a.log.first > 0 {
				return false
			}
			other := a.log.rewrite(a.log.bodies)
			e := audit.Entry{Action: "PruneLog", Decision: audit.Allow, Index: other.size(), Principal: "spiffe://cardvault.test/tenant/demo/issuer"}
			if a.dice.oneIn(2) {
				e.Principal, e.Decision = "", audit.Deny
			}
			other.write(0, e)
			other.first = 1
			a.files = folder(other, other.size())
			return true
		}},
	}
}

// file draws a file.
func (a *attack) file(prefix string) string {
	var of []string
	for _, name := range slices.Sorted(maps.Keys(a.files)) {
		if strings.HasPrefix(name, prefix) && len(a.files[name].Data) > 0 {
			of = append(of, name)
		}
	}
	return pick(a.dice, of...)
}

// rebundle changes a bundle.
func (a *attack) rebundle(change func([][]byte) [][]byte) bool {
	name := a.file("tile/entries/")
	before := a.files[name].Data
	bodies, err := audit.ParseBundle(before)
	if err != nil {
		a.log.tb.Fatal(err)
	}
	var bundle []byte
	for _, body := range change(bodies) {
		bundle = audit.AppendBundle(bundle, body)
	}
	at(a.files, name, bundle)
	return !bytes.Equal(before, bundle)
}

// edit changes something that an entry says.
func (a *attack) edit(body []byte) []byte {
	if len(body) == 0 {
		return []byte("{}")
	}
	return edit(a.log.tb, body, func(e *audit.Entry) {
		switch a.dice.below(6) {
		case 0:
			e.Decision = 1 - e.Decision
		case 1:
			e.Principal += "x"
		case 2:
			e.Card[a.dice.below(16)] ^= 1
		case 3:
			e.Time = e.Time.Add(time.Microsecond)
		case 4:
			e.Count++
		case 5:
			e.Purpose = "audit" + e.Purpose
		}
	})
}

// editOne returns the log with one entry edited.
func (a *attack) editOne(i int) *testLog {
	bodies := slices.Clone(a.log.bodies)
	bodies[i] = a.edit(bodies[i])
	return a.log.rewrite(bodies)
}

// rechain returns the log with one entry edited, and all that follow in its chain
// linked to it.
func (a *attack) rechain(i int) *testLog {
	bodies := slices.Clone(a.log.bodies)
	var replica replicaID
	bodies[i] = edit(a.log.tb, bodies[i], func(e *audit.Entry) { e.Result += "!"; replica = e.Replica })
	head := audit.LeafHash(bodies[i])
	for j := i + 1; j < len(bodies); j++ {
		bodies[j] = edit(a.log.tb, bodies[j], func(e *audit.Entry) {
			if e.Replica == replica {
				e.Prev = head
			}
		})
		if e, err := audit.Parse(bodies[j]); err == nil && e.Replica == replica {
			head = audit.LeafHash(bodies[j])
		}
	}
	return a.log.rewrite(bodies)
}

// shorter draws a smaller size.
func (a *attack) shorter() int64 { return int64(a.dice.below(len(a.log.bodies))) }

// insider changes the entries, at one that another follows in its chain, and signs.
func (a *attack) insider(change func(bodies [][]byte, i int) [][]byte) bool {
	last := map[replicaID]int{}
	var followed []int
	for i, body := range a.log.bodies {
		e, err := audit.Parse(body)
		if err != nil {
			a.log.tb.Fatal(err)
		}
		if before, ok := last[e.Replica]; ok && before >= int(a.log.first) {
			followed = append(followed, before)
		}
		last[e.Replica] = i
	}
	if len(followed) == 0 || a.log.first > 0 {
		return false
	}
	other := a.log.rewrite(change(slices.Clone(a.log.bodies), pick(a.dice, followed...)))
	a.files = folder(other, other.size())
	a.since, a.policy = nil, nil
	return true
}

// write appends an entry, and signs.
func (a *attack) write(age time.Duration, change func(*audit.Entry)) bool {
	other := a.log.rewrite(a.log.bodies)
	e := other.anyEntry()
	change(&e)
	_, r := audit.NewChain(a.dice.id()).Append(e, other.now.Add(-age))
	other.append(r.Body)
	a.files = folder(other, other.size())
	a.since, a.policy = nil, nil
	return true
}

// withHead puts another text before the signatures of a checkpoint.
func withHead(signed []byte, c audit.Checkpoint) []byte {
	return append([]byte(c.Text()), signed[bytes.Index(signed, []byte("\n\n"))+1:]...)
}

// TestMutationsAreReported edits folders in 10,000 ways, and wants every one
// reported.
func TestMutationsAreReported(t *testing.T) {
	t.Parallel()
	const wanted, ofOneLog = 10_000, 100
	made := map[string]int{}
	d := &dice{2}
	var s sample
	for n, round := 0, 0; n < wanted; round++ {
		if round%ofOneLog == 0 {
			size := 2 + d.below(20)
			if round/ofOneLog%20 == 0 {
				size = 257 + d.below(60)
			}
			s = anySample(t, d.roll(), size)
		}
		ways := mutations()
		m := ways[round%len(ways)]
		same := s
		a := &attack{sample: &same, files: fstest.MapFS{}, dice: d}
		for name, f := range s.files {
			at(a.files, name, f.Data)
		}
		if !m.make(a) {
			continue
		}
		n++
		made[m.name]++
		if r := a.verify(a.files); r.Good() {
			t.Errorf("%s (round %d, %d entries, %d dropped): nothing was reported", m.name, round, s.log.size(), s.log.first)
		}
	}
	for _, m := range mutations() {
		if made[m.name] < 20 {
			t.Errorf("%s was made %d times only", m.name, made[m.name])
		}
	}
}

var _ archive.Witnesses = quorum(nil)
