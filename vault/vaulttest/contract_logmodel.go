package vaulttest

import (
	"slices"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/vault/ledger"
)

// logMachine is a log over three chains, beside what it should be.
type logMachine struct {
	*sequencer
	base   int64 // the log's size at the beginning
	chains [3]*replica
	next   [3]int64
}

func logModel(t *contract) {
	store := t.open()
	rapid.Check(t, func(rt *rapid.T) {
		m := &logMachine{sequencer: newSequencer(t, store)}
		m.base = m.head.Size
		m.drop(m.base, 1<<30)
		for i := range m.chains {
			m.chains[i] = newReplica(t, store)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"commit": m.commit, "extend": m.grow, "drop": m.prune, "take over": m.takeOver, "list": m.list,
			"behind": m.behind, "": m.check,
		})
		m.finish(rt)
	})
}

func (m *logMachine) commit(rt *rapid.T) {
	m.chains[rapid.IntRange(0, 2).Draw(rt, "chain")].seal(rapid.IntRange(1, 5).Draw(rt, "entries"))
}

// grow takes what is new of some chains, in any order, perhaps in several runs.
func (m *logMachine) grow(rt *rapid.T) {
	var runs []ledger.Run
	for _, i := range rapid.SliceOfN(rapid.IntRange(0, 2), 1, 5).Draw(rt, "chains") {
		left := int(m.chains[i].chain.Len() - m.next[i])
		if left == 0 {
			continue
		}
		run := m.chains[i].run(m.next[i], rapid.IntRange(1, left).Draw(rt, "count"))
		m.next[i] += int64(run.Count)
		runs = append(runs, run)
	}
	m.append(rt, runs)
}

func (m *logMachine) append(rt *rapid.T, runs []ledger.Run) {
	x := m.extension(runs...)
	x.Tiles = nil
	if err := m.ExtendLog(m.t.Context(), m.head.Term, x); err != nil {
		rt.Fatal(err)
	}
	m.runs = append(m.runs, x.Runs...)
	for _, run := range x.Runs {
		m.head.Size += int64(run.Count)
	}
	m.head.Beat++
}

func (m *logMachine) prune(rt *rapid.T) {
	below := rapid.Int64Range(m.base, m.head.Size+2).Draw(rt, "below")
	limit := rapid.IntRange(0, 7).Draw(rt, "limit")
	want := max(m.head.First, min(below, m.head.Size, m.head.First+int64(limit)))
	if got, err := m.DropEntries(m.t.Context(), m.head.Term, below, limit); err != nil || got != want {
		rt.Fatalf("first %d, error %v, want %d", got, err, want)
	}
	m.head.First = want
}

// takeOver makes another replica the sequencer; the one before writes no more.
func (m *logMachine) takeOver(rt *rapid.T) {
	head, took, err := m.TakeLease(m.t.Context(), m.head, uuid.New())
	if err != nil || !took {
		rt.Fatalf("took the lease: %v, error %v", took, err)
	}
	if err := m.RenewLease(m.t.Context(), m.head.Term); err == nil {
		rt.Fatal("a former term renewed its lease")
	}
	m.head.Term, m.head.Holder, m.head.Beat = m.head.Term+1, head.Holder, head.Beat
}

// list compares a page, anywhere, and the index of an entry.
func (m *logMachine) list(rt *rapid.T) {
	all := m.entries(m.chains[:]...)
	from := rapid.IntRange(0, len(all)).Draw(rt, "from")
	limit := rapid.IntRange(0, 12).Draw(rt, "limit")
	got, err := m.ListLog(m.t.Context(), m.base+int64(from), limit)
	want := all[from:min(from+limit, len(all))]
	if diff := differ(got, want); err != nil || diff != "" {
		rt.Fatalf("error %v (-want +got):\n%s", err, diff)
	}
	i := rapid.IntRange(0, 2).Draw(rt, "chain")
	number := rapid.Int64Range(0, m.chains[i].chain.Len()).Draw(rt, "number")
	index, ok, err := m.IndexOf(m.t.Context(), m.chains[i].id, number)
	at := slices.IndexFunc(all, func(e ledger.Entry) bool {
		return e.Record.Replica == m.chains[i].id && e.Record.Number == number
	})
	if err != nil || ok != (at >= 0) || ok && index != m.base+int64(at) {
		rt.Fatalf("index %d, %v, error %v, want it at %d", index, ok, err, at)
	}
}

// behind compares the chains that are ahead of the log.
func (m *logMachine) behind(rt *rapid.T) {
	ids := map[uuid.UUID]int{}
	var want []ledger.Grown
	for i, r := range m.chains {
		ids[r.id] = i
		if r.chain.Len() == m.next[i] {
			continue
		}
		g := ledger.Grown{Tail: sealed(r.id, r.chain), Next: m.next[i]}
		if m.next[i] > 0 {
			g.Prev = r.head(m.next[i] - 1)
		}
		want = append(want, g)
	}
	got := grown(m.t, m)
	slices.SortFunc(got, func(a, b ledger.Grown) int { return ids[a.Tail.Replica] - ids[b.Tail.Replica] })
	if diff := differ(got, want); diff != "" {
		rt.Fatalf("chains (-want +got):\n%s", diff)
	}
}

// check: the head is as it should be.
func (m *logMachine) check(rt *rapid.T) {
	head, err := m.LogHead(m.t.Context())
	if diff := differ(head, m.head); err != nil || diff != "" {
		rt.Fatalf("head, error %v (-want +got):\n%s", err, diff)
	}
}

// finish takes all there is, so that the next log behind this one begins alone.
func (m *logMachine) finish(rt *rapid.T) {
	var rest []ledger.Run
	for i, r := range m.chains {
		if left := int(r.chain.Len() - m.next[i]); left > 0 {
			rest = append(rest, r.run(m.next[i], left))
			m.next[i] = r.chain.Len()
		}
	}
	m.append(rt, rest)
	m.check(rt)
	m.behind(rt)
}
