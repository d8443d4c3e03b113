package archive_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault/archive"
	"github.com/cardvault/cardvault/vault/audit"
)

func TestVerifyTakesDroppedEntriesThatTheLogSpeaksOf(t *testing.T) {
	t.Parallel()
	l := newLog(t, 20).grow(700).prune(600).grow(50)
	whole := folder(l, l.size())
	r := verify(l, whole, since(l.checkpoint(300)))
	wantGood(t, r)
	if r.Dropped != 600 || r.Entries != l.size()-600 {
		t.Errorf("%d dropped, %d read", r.Dropped, r.Entries)
	}
	for name, want := range map[string]bool{"tile/entries/000": false, "tile/entries/001": false, "tile/entries/002.p/239": true, "tile/0/000": true} {
		if got := whole[name] != nil; got != want {
			t.Errorf("%s is there: %t", name, got)
		}
	}
	// What was exported before may stay, or go.
	l.first = 0
	before := folder(l, 300)
	l.first = 600
	m := newMemory()
	for name, f := range before {
		if err := m.Put(name, f.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := export(l, m, l.size()); err != nil {
		t.Fatal(err)
	}
	files := m.files()
	wantGood(t, verify(l, files))
	delete(files, "tile/entries/000")
	r = verify(l, files)
	wantGood(t, r)
	if r.Dropped != 600-44 { // 256 to 299 were in a bundle that became full with the rest dropped
		t.Errorf("%d dropped", r.Dropped)
	}
}

// Entries after dropped ones must follow one of them.
func TestVerifyFollowsChainsIntoWhatWasDropped(t *testing.T) {
	t.Parallel()
	pruned := func(bodies [][]byte) *archive.Report {
		l := newLog(t, 21).rewrite(bodies)
		l.prune(3).grow(3)
		return verify(l, folder(l, l.size()))
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var bodies [][]byte
	one, other := audit.NewChain(uuid.UUID{1}), audit.NewChain(uuid.UUID{2})
	var r audit.Record
	for range 4 {
		one, r = one.Append(audit.Entry{Action: "GetCard"}, now)
		bodies = append(bodies, r.Body)
	}
	wantGood(t, pruned(bodies))

	lost, _ := one.Append(audit.Entry{Action: "Lost"}, now)
	_, late := lost.Append(audit.Entry{Action: "GetCard"}, now)
	_, fork := one.Append(audit.Entry{Action: "GetCard"}, now)
	_, foreign := other.Append(audit.Entry{}, now)
	stolen := edit(t, bodies[3], func(e *audit.Entry) { e.Replica = uuid.UUID{2} })
	for name, bodies := range map[string][][]byte{
		"after an entry that was never there":       append(slices.Clone(bodies), late.Body),
		"after an entry that is not dropped":        append(slices.Clone(bodies[:3]), fork.Body),
		"two after the same one":                    append(slices.Clone(bodies), stolen),
		"a later entry before its chain's earliest": append(slices.Clone(bodies), foreign.Body, foreign.Body),
	} {
		if got := slices.Collect(maps.Keys(pruned(bodies).Counts)); !slices.Equal(got, []archive.Class{archive.ClassChain}) {
			t.Errorf("%s: %v", name, got)
		}
	}
}
