package ledger_test

import (
	"bytes"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// attack is somebody with every right on the database, who knows how everything is
// computed and has none of the keys.
type attack struct {
	*world
	now tables
}

// put replaces a row.
func (a *attack) put(table string, i int, r row) { a.now[table][i] = r }

// set replaces a column of a row.
func (a *attack) set(table string, i int, column string, v any) {
	r := slices.Clone(a.now[table][i])
	r[tableNamed(table).column(column)] = v
	a.put(table, i, r)
}

func (a *attack) head(column string) any {
	return a.now["log_head"][0][tableNamed("log_head").column(column)]
}

func (a *attack) setHead(column string, v any) { a.set("log_head", 0, column, v) }

func (a *attack) size() int64 { return a.head("size").(int64) }

// place is an entry where the log has it.
type place struct {
	replica []byte
	number  int64
	body    []byte
}

// order returns the entries in the order of the log.
func (a *attack) order() []place {
	bodies := map[string][]byte{}
	entries := tableNamed("audit_entries")
	for _, r := range a.now["audit_entries"] {
		bodies[entries.keyOf(r)] = r[4].([]byte)
	}
	var all []place
	for _, r := range a.now["log_runs"] {
		for i := range r[3].(int64) {
			p := place{replica: r[1].([]byte), number: r[2].(int64) + i}
			p.body = bodies[entries.keyOf(row{p.replica, p.number})]
			all = append(all, p)
		}
	}
	return all
}

// remake makes everything anew that is computed of the entries in the log: runs,
// tiles, what the log has of each chain, and the size. The entries are stored as they
// are.
func (a *attack) remake(order []place) {
	a.store(order)
	a.now["log_runs"] = nil
	a.now["log_chains"] = nil
	var leaves []audit.Hash
	for i, p := range order {
		leaf := audit.LeafHash(p.body)
		leaves = append(leaves, leaf)
		runs := a.now["log_runs"]
		if n := len(runs) - 1; n >= 0 && bytes.Equal(runs[n][1].([]byte), p.replica) && runs[n][2].(int64)+runs[n][3].(int64) == p.number {
			runs[n][3] = runs[n][3].(int64) + 1
		} else {
			a.now["log_runs"] = append(runs, row{int64(i), p.replica, p.number, int64(1)})
		}
		chain := row{p.replica, p.number + 1, leaf[:]}
		if j := a.find("log_chains", p.replica); j >= 0 {
			a.put("log_chains", j, chain)
		} else {
			a.now["log_chains"] = append(a.now["log_chains"], chain)
		}
	}
	a.now["log_tiles"] = tilesOf(leaves)
	a.setHead("size", int64(len(order)))
}

// find returns the row of a table whose first column is this.
func (a *attack) find(table string, first []byte) int {
	return slices.IndexFunc(a.now[table], func(r row) bool { return bytes.Equal(r[0].([]byte), first) })
}

// store stores entries with the columns that their bodies want.
func (a *attack) store(order []place) {
	t := tableNamed("audit_entries")
	at := map[string]int{}
	for i, r := range a.now[t.name] {
		at[t.keyOf(r)] = i
	}
	for _, p := range order {
		micros := a.clock.Now().UnixMicro()
		if e, err := audit.Parse(p.body); err == nil {
			micros = e.Time.UnixMicro()
		}
		r := row{p.replica, p.number, micros, a.base[t.name][0][3], p.body}
		i, has := at[t.keyOf(r)]
		switch {
		case !has:
			at[t.keyOf(r)] = len(a.now[t.name])
			a.now[t.name] = append(a.now[t.name], r)
		case !bytes.Equal(a.now[t.name][i][4].([]byte), p.body):
			a.put(t.name, i, r)
		}
	}
}

// remove removes entries that are not in the log.
func (a *attack) remove(gone []place) {
	a.now["audit_entries"] = slices.DeleteFunc(slices.Clone(a.now["audit_entries"]), func(r row) bool {
		return slices.ContainsFunc(gone, func(p place) bool {
			return p.number == r[1].(int64) && bytes.Equal(p.replica, r[0].([]byte))
		})
	})
}

// tilesOf returns the tiles of a tree.
func tilesOf(hashes []audit.Hash) []row {
	var tiles []row
	for level := int64(0); len(hashes) > 0; level++ {
		var above []audit.Hash
		for n := int64(0); len(hashes) > 0; n++ {
			width := min(len(hashes), audit.TileWidth)
			var tile []byte
			for _, h := range hashes[:width] {
				tile = append(tile, h[:]...)
			}
			tiles = append(tiles, row{level, n, tile})
			if width == audit.TileWidth {
				above = append(above, perfect(hashes[:width]))
			}
			hashes = hashes[width:]
		}
		hashes = above
	}
	return tiles
}

// perfect returns the root of a full tile.
func perfect(hashes []audit.Hash) audit.Hash {
	for len(hashes) > 1 {
		var above []audit.Hash
		for pair := range slices.Chunk(hashes, 2) {
			above = append(above, tlog.NodeHash(pair[0], pair[1]))
		}
		hashes = above
	}
	return hashes[0]
}

// rootOfTiles returns the root of the tree whose leaves the tiles have.
func rootOfTiles(tiles []row) audit.Hash {
	var leaves []audit.Hash
	for _, r := range tiles {
		if r[0].(int64) == 0 {
			for chunk := range slices.Chunk(r[2].([]byte), tlog.HashSize) {
				leaves = append(leaves, audit.Hash(chunk))
			}
		}
	}
	return root(leaves)
}

// root is MTH of RFC 6962 §2.1.
func root(leaves []audit.Hash) audit.Hash {
	switch n := len(leaves); n {
	case 0:
		empty, _ := tlog.TreeHash(0, nil) // reads nothing
		return empty
	case 1:
		return leaves[0]
	default:
		k := 1
		for k*2 < n {
			k *= 2
		}
		return tlog.NodeHash(root(leaves[:k]), root(leaves[k:]))
	}
}

// relink makes the entries of each chain follow each other again, from index on.
func relink(order []place, from int) {
	type end struct {
		head audit.Hash
		next int64
	}
	ends := map[string]end{}
	for i, p := range order {
		if e, err := audit.Parse(p.body); i >= from && err == nil {
			last := ends[string(p.replica)]
			e.Replica, e.Number, e.Prev = [16]byte(p.replica), last.next, last.head
			order[i].number, order[i].body = e.Number, e.Encode()
		}
		ends[string(p.replica)] = end{audit.LeafHash(order[i].body), order[i].number + 1}
	}
}

// checkpoint is what would have to be signed for what is stored.
func (a *attack) checkpoint() audit.Checkpoint {
	return audit.Checkpoint{Origin: origin, Size: a.size(), Root: rootOfTiles(a.now["log_tiles"])}
}

// publish puts a checkpoint into the head for what is stored, as good as can be had
// without the log's key.
func (a *attack) publish() {
	signed, _ := a.head("checkpoint").([]byte)
	switch a.dice.below(4) {
	case 0: // the one that is there
	case 1: // its signatures under another text
		if i := bytes.Index(signed, []byte("\n\n")); i >= 0 {
			a.setHead("checkpoint", append([]byte(a.checkpoint().Text()), signed[i+1:]...))
		}
	case 2: // of another key
		a.setHead("checkpoint", sign(a.t, a.mallory, a.checkpoint()))
	case 3: // the newest that is not of more than there is
		a.setHead("checkpoint", nil)
		for _, ts := range a.earlier {
			older, _ := ts["log_head"][0][6].([]byte)
			if c, err := audit.OpenCheckpoint(older, a.key.verifier); err == nil && c.Size <= a.size() {
				a.setHead("checkpoint", older)
			}
		}
	}
}

// reseal makes the tails end where the chains do, with the seals that can be had.
func (a *attack) reseal() {
	type end struct {
		number int64
		head   audit.Hash
	}
	ends := map[string]end{}
	for _, r := range a.now["audit_entries"] {
		name := string(r[0].([]byte))
		if last, has := ends[name]; !has || r[1].(int64) > last.number {
			ends[name] = end{r[1].(int64), audit.LeafHash(r[4].([]byte))}
		}
	}
	for i, r := range a.now["audit_chains"] {
		last, has := ends[string(r[0].([]byte))]
		if !has || last.number == r[1].(int64) && sameValue(r[2], last.head[:]) {
			continue
		}
		a.put("audit_chains", i, a.forgedTail(r[0].([]byte), last.number, last.head))
	}
}

// forgedTail is a tail with the best seal that can be had without the KEK: the one
// that the chain had there before, one of another tail, or none.
func (a *attack) forgedTail(replica []byte, number int64, head audit.Hash) row {
	for _, r := range a.tails {
		if bytes.Equal(r[0].([]byte), replica) && r[1].(int64) == number && a.dice.oneIn(2) {
			return r
		}
	}
	other := pick(a.dice, a.tails...)
	switch a.dice.below(4) {
	case 0:
		return row{replica, number, head[:], other[3], other[4], other[5]}
	case 1:
		return row{replica, number, head[:], a.dice.bytes(32), "test", a.dice.bytes(40)}
	case 2:
		return row{replica, number, head[:], nil, nil, nil}
	default:
		return row{replica, number, nil, nil, nil, nil}
	}
}
