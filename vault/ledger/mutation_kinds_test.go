package ledger_test

import (
	"bytes"
	"math"
	"slices"

	"github.com/cardvault/cardvault/vault/audit"
)

// kind is a way to mutate the tables. It changes nothing where it finds nothing to
// change.
type kind struct {
	name string
	make func(a *attack)
	// old: all is as it was before, or could have been, so that it takes a memory to
	// notice. Half of the time nobody has one but the witness and the auditor.
	old bool
}

func kinds() []kind {
	return slices.Concat(rowKinds(), entryKinds(), chainKinds(), headKinds(), oldKinds())
}

// any draws a row of any table.
func (a *attack) any() (table, int) {
	for {
		t := pick(a.dice, tablesOfLog()...)
		if n := len(a.now[t.name]); n > 0 {
			return t, a.dice.below(n)
		}
	}
}

// two draws two numbers below n.
func (a *attack) two(n int) (i, j int) {
	i = a.dice.below(n)
	return i, (i + 1 + a.dice.below(n-1)) % n
}

// flip flips a bit.
func (a *attack) flip(v any) any {
	switch v := v.(type) {
	case int64:
		return v ^ 1<<a.dice.below(64)
	case string:
		return string(a.flip([]byte(v)).([]byte))
	case []byte:
		if len(v) == 0 {
			return []byte{1}
		}
		v = bytes.Clone(v)
		v[a.dice.below(len(v))] ^= 1 << a.dice.below(8)
		return v
	default:
		return a.dice.bytes(16)
	}
}

func flipBit(a *attack) {
	t, i := a.any()
	column := pick(a.dice, t.columns...)
	a.set(t.name, i, column, a.flip(a.now[t.name][i][t.column(column)]))
}

func rowKinds() []kind {
	return []kind{
		{"flip a bit", flipBit, false},
		{"flip a bit again", flipBit, false},
		{"flip a bit of an entry", func(a *attack) {
			i := a.dice.below(len(a.now["audit_entries"]))
			column := pick(a.dice, "replica", "number", "time", "tenant", "body", "body")
			a.set("audit_entries", i, column, a.flip(a.now["audit_entries"][i][tableNamed("audit_entries").column(column)]))
		}, false},
		{"flip a bit of a tile or a run", func(a *attack) {
			t := tableNamed(pick(a.dice, "log_tiles", "log_runs", "log_chains"))
			if n := len(a.now[t.name]); n > 0 {
				i, column := a.dice.below(n), pick(a.dice, t.columns...)
				a.set(t.name, i, column, a.flip(a.now[t.name][i][t.column(column)]))
			}
		}, false},
		{"drop a row", func(a *attack) {
			t, i := a.any()
			a.now[t.name] = slices.Delete(a.now[t.name], i, i+1)
		}, false},
		{"empty a table", func(a *attack) {
			t, _ := a.any()
			a.now[t.name] = nil
		}, false},
		{"drop the last rows of a table", func(a *attack) {
			t, i := a.any()
			a.now[t.name] = a.now[t.name][:i]
		}, false},
		{"swap a column of two rows", func(a *attack) {
			t, i := a.any()
			j, column := a.dice.below(len(a.now[t.name])), pick(a.dice, t.columns...)
			one, other := a.now[t.name][i][t.column(column)], a.now[t.name][j][t.column(column)]
			a.set(t.name, i, column, other)
			a.set(t.name, j, column, one)
		}, false},
		{"swap what two rows hold", func(a *attack) {
			t, i := a.any()
			j := a.dice.below(len(a.now[t.name]))
			one, other := a.now[t.name][i], a.now[t.name][j]
			a.put(t.name, i, slices.Concat(one[:t.key], other[t.key:]))
			a.put(t.name, j, slices.Concat(other[:t.key], one[t.key:]))
		}, false},
		{"put a column over that of another row", func(a *attack) {
			t, i := a.any()
			column := pick(a.dice, t.columns...)
			a.set(t.name, i, column, a.now[t.name][a.dice.below(len(a.now[t.name]))][t.column(column)])
		}, false},
		{"copy a row to another key", func(a *attack) {
			t, i := a.any()
			r := slices.Clone(a.now[t.name][i])
			column := a.dice.below(t.key)
			switch v := r[column].(type) {
			case int64:
				r[column] = v + int64(1+a.dice.below(4))
			case []byte:
				r[column] = a.dice.bytes(len(v))
			}
			a.now[t.name] = append(a.now[t.name], r)
		}, false},
		{"write an extreme number", func(a *attack) {
			t, i := a.any()
			for column, v := range a.now[t.name][i] {
				if n, is := v.(int64); is && a.dice.oneIn(2) {
					a.set(t.name, i, t.columns[column], pick(a.dice, 0, -1, 1, n+1, n-1, math.MaxInt64, math.MinInt64, math.MaxInt32))
					return
				}
			}
		}, false},
		{"cut or lengthen a blob", func(a *attack) {
			t, i := a.any()
			for column, v := range a.now[t.name][i] {
				if b, is := v.([]byte); is && a.dice.oneIn(2) {
					longer := append(bytes.Clone(b), a.dice.bytes(1+a.dice.below(64))...)
					a.set(t.name, i, t.columns[column], pick(a.dice, longer, b[:a.dice.below(len(b)+1)]))
					return
				}
			}
		}, false},
	}
}

// edit changes something that an entry says.
func (a *attack) edit(body []byte) []byte {
	e, err := audit.Parse(body)
	if err != nil {
		return append(bytes.Clone(body), ' ')
	}
	switch a.dice.below(4) {
	case 0:
		e.Decision = 1 - e.Decision
	case 1:
		e.Principal = "spiffe://cardvault.test/tenant/demo/issuer"
	case 2:
		e.Card = a.dice.id()
	case 3:
		e.Count += 1 + a.dice.below(9)
	}
	return e.Encode()
}

// rewrite changes the entries in the log, and everything that is computed of them.
func rewrite(change func(a *attack, order []place) []place) func(*attack) {
	return func(a *attack) {
		order := a.order()
		if len(order) < 2 {
			return
		}
		a.remake(change(a, order))
		a.reseal()
		a.publish()
	}
}

// entryKinds edit the log's entries and make all hashes anew.
func entryKinds() []kind {
	return []kind{
		{"drop the tail", rewrite(func(a *attack, order []place) []place {
			n := a.dice.below(len(order))
			a.remove(order[n:])
			return order[:n]
		}), false},
		{"drop the tail from the log alone", rewrite(func(a *attack, order []place) []place {
			return order[:a.dice.below(len(order))]
		}), false},
		{"swap two indexes", rewrite(func(a *attack, order []place) []place {
			i, j := a.two(len(order))
			order[i], order[j] = order[j], order[i]
			return order
		}), false},
		{"swap two bodies", rewrite(func(a *attack, order []place) []place {
			i, j := a.two(len(order))
			order[i].body, order[j].body = order[j].body, order[i].body
			return order
		}), false},
		{"edit an entry", rewrite(func(a *attack, order []place) []place {
			i := a.dice.below(len(order))
			order[i].body = a.edit(order[i].body)
			return order
		}), false},
		{"edit an entry and its chain", rewrite(func(a *attack, order []place) []place {
			i := a.dice.below(len(order))
			order[i].body = a.edit(order[i].body)
			relink(order, i)
			return order
		}), false},
		{"leave an entry out", rewrite(func(a *attack, order []place) []place {
			i := a.dice.below(len(order))
			return slices.Delete(order, i, i+1)
		}), false},
		{"leave an entry out and link the rest", rewrite(func(a *attack, order []place) []place {
			i := a.dice.below(len(order))
			a.remove(order[i:])
			order = slices.Delete(order, i, i+1)
			relink(order, i)
			return order
		}), false},
		{"double an entry", rewrite(func(a *attack, order []place) []place {
			i, j := a.dice.below(len(order)), a.dice.below(len(order)+1)
			return slices.Insert(order, j, order[i])
		}), false},
		{"double an entry under a number of its own", rewrite(func(a *attack, order []place) []place {
			i := a.dice.below(len(order))
			order = slices.Insert(order, i, order[i])
			relink(order, i)
			return order
		}), false},
		{"insert an entry", rewrite(func(a *attack, order []place) []place {
			i := a.dice.below(len(order))
			order = slices.Insert(order, i, place{order[i].replica, 0, a.edit(order[i].body)})
			relink(order, i)
			return order
		}), false},
		{"append an entry to the log", rewrite(func(a *attack, order []place) []place {
			i := a.dice.below(len(order))
			order = append(order, place{order[i].replica, 0, a.edit(order[i].body)})
			relink(order, len(order)-1)
			return order
		}), false},
		{"append a chain to the log", rewrite(func(a *attack, order []place) []place {
			p := place{a.dice.bytes(16), 0, a.edit(order[0].body)}
			order = append(order, p)
			relink(order, len(order)-1)
			if a.dice.oneIn(2) {
				tail := a.forgedTail(p.replica, 0, audit.LeafHash(order[len(order)-1].body))
				a.now["audit_chains"] = append(a.now["audit_chains"], tail)
			}
			return order
		}), false},
		{"edit a hash and all above", func(a *attack) {
			var leaves []audit.Hash
			for _, p := range a.order() {
				leaves = append(leaves, audit.LeafHash(p.body))
			}
			if len(leaves) > 0 {
				leaves[a.dice.below(len(leaves))] = audit.Hash(a.dice.bytes(32))
				a.now["log_tiles"] = tilesOf(leaves)
				a.publish()
			}
		}, false},
		{"say that entries were dropped", func(a *attack) {
			order := a.order()
			if len(order) > 0 {
				n := 1 + a.dice.below(len(order))
				a.remove(order[:n])
				a.setHead("first", int64(n))
			}
		}, false},
	}
}

// chainKinds write chains that are not in the log yet, or hide them from it.
func chainKinds() []kind {
	return []kind{
		{"write a chain", func(a *attack) {
			replica := a.dice.bytes(16)
			body := a.edit(a.now["audit_entries"][0][4].([]byte))
			chain := []place{{replica, 0, body}, {replica, 1, body}}
			relink(chain, 0)
			a.store(chain)
			a.now["audit_chains"] = append(a.now["audit_chains"], a.forgedTail(replica, 1, audit.LeafHash(chain[1].body)))
		}, false},
		{"write on in a chain", func(a *attack) {
			i := a.dice.below(len(a.now["audit_chains"]))
			tail := a.now["audit_chains"][i]
			e, err := audit.Parse(a.now["audit_entries"][0][4].([]byte))
			if err != nil {
				return
			}
			e.Replica, e.Number, e.Prev = [16]byte(tail[0].([]byte)), tail[1].(int64)+1, audit.Hash(tail[2].([]byte))
			e.Time = a.clock.Now()
			a.store([]place{{tail[0].([]byte), e.Number, e.Encode()}})
			if a.dice.oneIn(2) {
				a.put("audit_chains", i, a.forgedTail(tail[0].([]byte), e.Number, audit.LeafHash(e.Encode())))
			}
		}, false},
		{"hide what a chain has waiting", func(a *attack) {
			i := a.dice.below(len(a.now["audit_chains"]))
			tail := a.now["audit_chains"][i]
			next := tail[1].(int64) + int64(a.dice.below(3))
			if j := a.find("log_chains", tail[0].([]byte)); j >= 0 {
				a.set("log_chains", j, "next", next)
			} else {
				a.now["log_chains"] = append(a.now["log_chains"], row{tail[0], next, tail[2]})
			}
		}, false},
		{"put an older tail back", func(a *attack) {
			tail := pick(a.dice, a.tails...)
			if i := a.find("audit_chains", tail[0].([]byte)); i >= 0 {
				a.put("audit_chains", i, tail)
			}
		}, false},
		{"cut what a chain has waiting", func(a *attack) {
			i := a.dice.below(len(a.now["audit_chains"]))
			tail := a.now["audit_chains"][i]
			for _, older := range a.tails {
				if bytes.Equal(older[0].([]byte), tail[0].([]byte)) && older[1].(int64) < tail[1].(int64) && a.dice.oneIn(2) {
					a.put("audit_chains", i, older)
					a.remove(placesAfter(a.now["audit_entries"], older))
					return
				}
			}
		}, false},
		{"give a chain another name", func(a *attack) {
			id := pick(a.dice, a.now["audit_chains"]...)[0].([]byte)
			other := a.dice.bytes(16)
			for _, t := range tablesOfLog() {
				column := t.column("replica")
				for i, r := range a.now[t.name] {
					if column >= 0 && bytes.Equal(r[column].([]byte), id) {
						a.set(t.name, i, "replica", other)
					}
				}
			}
		}, false},
	}
}

// placesAfter returns the entries of a chain behind a tail.
func placesAfter(entries []row, tail row) []place {
	var all []place
	for _, r := range entries {
		if bytes.Equal(r[0].([]byte), tail[0].([]byte)) && r[1].(int64) > tail[1].(int64) {
			all = append(all, place{replica: r[0].([]byte), number: r[1].(int64)})
		}
	}
	return all
}

// headKinds forge the checkpoint.
func headKinds() []kind {
	return []kind{
		{"sign with another key", func(a *attack) {
			a.setHead("checkpoint", sign(a.t, a.mallory, a.checkpoint()))
		}, false},
		{"sign for another size with another key", func(a *attack) {
			c := a.checkpoint()
			c.Size = int64(a.dice.below(int(c.Size) + 3))
			a.setHead("checkpoint", sign(a.t, a.mallory, c))
		}, false},
		{"take the checkpoint away", func(a *attack) { a.setHead("checkpoint", nil) }, false},
		{"put an older checkpoint back", func(a *attack) {
			a.setHead("checkpoint", pick(a.dice, a.earlier...)["log_head"][0][6])
		}, false},
		{"cut the signatures off", func(a *attack) {
			signed, _ := a.head("checkpoint").([]byte)
			a.setHead("checkpoint", signed[:bytes.Index(signed, []byte("\n\n"))+2])
		}, false},
		{"cut the cosignature off", func(a *attack) {
			signed, _ := a.head("checkpoint").([]byte)
			a.setHead("checkpoint", signed[:bytes.LastIndex(signed[:len(signed)-1], []byte("\n"))+1])
		}, false},
	}
}

// oldKinds put back what was.
func oldKinds() []kind {
	return []kind{
		{"roll back", func(a *attack) { a.now = pick(a.dice, a.earlier...).clone() }, true},
		{"roll some tables back", func(a *attack) {
			older := pick(a.dice, a.earlier...)
			for _, t := range tablesOfLog() {
				if a.dice.oneIn(2) {
					a.now[t.name] = older[t.name]
				}
			}
		}, false},
		{"roll some rows back", func(a *attack) {
			older := pick(a.dice, a.earlier...)
			for _, c := range changes(a.now, older) {
				if c.now != nil && c.old != nil && a.dice.oneIn(2) {
					i := slices.IndexFunc(a.now[c.name], func(r row) bool { return c.keyOf(r) == c.keyOf(c.old) })
					a.put(c.name, i, c.now)
				}
			}
		}, false},
		{"fork", func(a *attack) {
			if len(a.forks) > 0 {
				a.now = pick(a.dice, a.forks...).clone()
			}
		}, true},
	}
}
