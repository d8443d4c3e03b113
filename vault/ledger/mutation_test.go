package ledger_test

import (
	"fmt"
	"sync"
	"testing"
)

// TestCleanLogsRaiseNothing has everybody look at logs that nobody mutated.
func TestCleanLogsRaiseNothing(t *testing.T) {
	t.Parallel()
	seed := newSeed(t)
	for group := range 4 {
		t.Run(fmt.Sprint(group), func(t *testing.T) {
			t.Parallel()
			d := &dice{seed + uint64(group)}
			s := newRandomSite(t)
			db := openDatabase(t, s.path)
			for range 50 {
				m := newImage(t, d, s, db, sizeOf(d))
				v := m.enter(d.oneIn(2))
				if r := v.observe(nil, d.oneIn(2)); r != (report{}) {
					t.Fatalf("%s: %s", r.who, r.what)
				}
				if err := v.intact(nil); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// sizeOf draws how many entries a log has: few, or about as many as a bundle.
func sizeOf(d *dice) int {
	if d.oneIn(10) {
		return pick(d, 250, 510) + d.below(12)
	}
	return 2 + d.below(20)
}

// TestTableMutationsAreReported mutates the tables in 10,000 ways, and wants every
// one reported, or to be of those that nobody has to notice. (Under the race detector
// SQLite is ten times slower, and a quarter has to do.)
func TestTableMutationsAreReported(t *testing.T) {
	t.Parallel()
	const groups, wanted = 4, mutations / 4
	seed := newSeed(t)
	var mu sync.Mutex
	made, by := map[string]int{}, map[string]int{}
	t.Run("groups", func(t *testing.T) {
		for group := range groups {
			t.Run(fmt.Sprint(group), func(t *testing.T) {
				t.Parallel()
				d := &dice{seed + uint64(group)}
				s := newRandomSite(t)
				db := openDatabase(t, s.path)
				for n := 0; n < wanted; {
					size := sizeOf(d)
					m := newImage(t, d, s, db, size)
					m.fork()
					for i := 0; n < wanted && i < ofOneLog(size); i++ {
						k := pick(d, kinds()...)
						who := m.mutate(k)
						if who == "" {
							continue
						}
						n++
						mu.Lock()
						made[k.name]++
						by[who]++
						mu.Unlock()
					}
				}
			})
		}
	})
	total := 0
	for _, k := range kinds() {
		total += made[k.name]
		if made[k.name] < mutations/1000 {
			t.Errorf("%s was made %d times only", k.name, made[k.name])
		}
	}
	for who, n := range by {
		t.Logf("%6d %s", n, who)
	}
	if total != mutations {
		t.Errorf("%d mutations", total)
	}
}

// ofOneLog is how many mutations one log is good for. Large ones take longer.
func ofOneLog(size int) int {
	if size > 100 {
		return 30
	}
	return 200
}

// mutate mutates the tables, and returns who noticed first, or why nobody had to;
// empty: nothing was changed.
func (m *image) mutate(k kind) string {
	m.t.Helper()
	seed := m.dice.state
	v := m.enter(m.dice.oneIn(4))
	a := &attack{world: v, now: v.base.clone()}
	k.make(a)
	done := changes(v.base, a.now)
	if len(done) == 0 || !m.apply(done) {
		return ""
	}
	memory := !k.old || published(m.key, a.now) >= v.witness.newest.Size || m.dice.oneIn(2)
	if r := v.observe(done, memory); r != (report{}) {
		return r.who
	}
	reason, lost, ok := v.harmless(done, a.now)
	if !ok {
		m.t.Errorf("%s (dice %d): nobody noticed: %v", k.name, seed, done)
		return "nobody"
	}
	if err := v.intact(lost); err != nil {
		m.t.Errorf("%s (dice %d): taken for harmless (%s), but %v: %v", k.name, seed, reason, err, done)
	}
	return "nobody has to: " + reason
}
