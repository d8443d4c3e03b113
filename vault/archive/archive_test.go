package archive_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/cardvault/cardvault/vault/archive"
	"github.com/cardvault/cardvault/vault/audit"
)

// export brings a folder to the size of a log.
func export(l *testLog, d archive.Disk, to int64) error {
	a, err := archive.OpenWith(d, l.keys, l.vkey)
	if err != nil {
		return err
	}
	return errors.Join(a.Append(l.batch(a.Size(), to, l.checkpoint(to))), a.Close())
}

// folder exports a log at each of these sizes, and returns the files.
func folder(l *testLog, sizes ...int64) fstest.MapFS {
	l.tb.Helper()
	d := newMemory()
	for _, size := range sizes {
		if err := export(l, d, size); err != nil {
			l.tb.Fatal(err)
		}
	}
	return d.files()
}

// verify checks the files with the keys of the log.
func verify(l *testLog, files fstest.MapFS, change ...func(*archive.Options)) *archive.Report {
	l.tb.Helper()
	o := archive.Options{Keys: l.keys}
	for _, c := range change {
		c(&o)
	}
	r, err := archive.Verify(l.tb.Context(), files, o)
	if err != nil {
		l.tb.Fatal(err)
	}
	return r
}

// wantGood fails where a report has a finding.
func wantGood(tb testing.TB, r *archive.Report) {
	tb.Helper()
	for _, f := range r.Findings {
		tb.Errorf("%s %s %d: %s", f.Class, f.Path, f.Index, f.Text)
	}
	if !r.Good() {
		tb.Fatalf("findings: %v", r.Counts)
	}
}

func TestExportMakesAFolderThatVerifies(t *testing.T) {
	t.Parallel()
	l := newLog(t, 1).grow(70_000)
	files := folder(l, 0, 1, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 70_000)
	r := verify(l, files)
	wantGood(t, r)
	if r.Origin != origin || r.Size != 70_000 || r.Root != l.roots[70_000] || r.Entries != 70_000 || r.Dropped != 0 || r.Chains != len(l.chains) {
		t.Errorf("report %+v", r)
	}
	if diff := cmp.Diff(names(l.size()), slices.Sorted(maps.Keys(files))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// names returns the files of a log that was exported at one size.
func names(size int64) []string {
	files := []string{"checkpoint", "log.vkey"}
	for _, tile := range audit.LogTiles(0, size) {
		files = append(files, audit.TilePath(tile))
	}
	slices.Sort(files)
	return files
}

func TestExportToTheDisk(t *testing.T) {
	l := newLog(t, 2).grow(600)
	dir := filepath.Join(t.TempDir(), "archive")
	for _, size := range []int64{1, 300, 600} {
		a, err := archive.Open(dir, l.vkey)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Append(l.batch(a.Size(), size, l.checkpoint(size))); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	r, err := archive.Verify(t.Context(), os.DirFS(dir), archive.Options{Keys: verifiers(t, l.vkey)})
	if err != nil {
		t.Fatal(err)
	}
	wantGood(t, r)
	if r.Entries != 600 {
		t.Errorf("%d entries", r.Entries)
	}
}
