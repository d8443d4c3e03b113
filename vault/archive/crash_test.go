package archive_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cardvault/cardvault/vault/archive"
)

// TestExportSurvivesACrashAnywhere ends an export at each of its operations on the
// disk, lets the disk forget what was not durable, and goes on.
func TestExportSurvivesACrashAnywhere(t *testing.T) {
	t.Parallel()
	sizes := []int64{1, 250, 256, 270}
	l := newLog(t, 3).grow(270)
	for round := range uint64(2) {
		for operations := 1; ; operations++ {
			m := newMemory()
			m.dice = &dice{round<<32 + uint64(operations)}
			m.left = operations
			acknowledged, err := exportAll(l, m, sizes)
			if err == nil {
				break
			}
			if !errors.Is(err, errDied) {
				t.Fatalf("after %d operations: %v", operations, err)
			}
			at := fmt.Sprintf("round %d, crash at operation %d", round, operations)
			m = m.crash()
			checkSurvivor(t, at, l, m, acknowledged, sizes)
			// Once more, so that what one dead run left meets what another does.
			m.left = m.dice.below(operations)
			again, err := exportAll(l, m, sizes)
			if err != nil && !errors.Is(err, errDied) {
				t.Fatalf("%s, again: %v", at, err)
			}
			m = m.crash()
			checkSurvivor(t, at+", again", l, m, max(again, acknowledged), sizes)
			if _, err := exportAll(l, m, sizes); err != nil {
				t.Fatalf("%s: going on: %v", at, err)
			}
			r := verify(l, m.files())
			if r.Size != l.size() || !r.Good() {
				t.Fatalf("%s: in the end %d entries, %v", at, r.Size, r.Findings)
			}
		}
	}
}

// exportAll exports a log at each size, and returns the last that was acknowledged.
func exportAll(l *testLog, m *memory, sizes []int64) (acknowledged int64, err error) {
	for _, size := range sizes {
		a, err := archive.OpenOn(m, l.vkey)
		if err != nil {
			return acknowledged, err
		}
		_, acknowledged = a.Checkpoint()
		if size > a.Size() {
			if err := a.Append(l.batch(a.Size(), size, l.checkpoint(size))); err != nil {
				return acknowledged, errors.Join(err, ignore(a.Close()))
			}
			_, acknowledged = a.Checkpoint()
		}
		if err := a.Close(); err != nil {
			return acknowledged, err
		}
	}
	return acknowledged, nil
}

func ignore(error) error { return nil }

// checkSurvivor checks that the folder is the log at one of the sizes, not before
// what was acknowledged, and that what else is there is left over.
func checkSurvivor(t *testing.T, at string, l *testLog, m *memory, acknowledged int64, sizes []int64) {
	t.Helper()
	files := m.files()
	if files["checkpoint"] == nil && acknowledged == 0 {
		return // nothing was exported yet
	}
	r := verify(l, files)
	if r.Size < acknowledged || !slices.Contains(sizes, r.Size) {
		t.Fatalf("%s: %d entries are left of %d", at, r.Size, acknowledged)
	}
	for _, f := range r.Findings {
		if f.Class != archive.ClassExtra {
			t.Fatalf("%s: at size %d: %s %s: %s", at, r.Size, f.Class, f.Path, f.Text)
		}
	}
}
