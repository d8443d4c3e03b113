package archive_test

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/cardvault/cardvault/vault/archive"
	"github.com/cardvault/cardvault/vault/audit"
)

// TestAppendRefuses offers a folder of 300 entries what does not belong to its log.
// None of it may change what the folder proves.
func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	l := newLog(t, 4).grow(700)
	fork := l.rewrite(l.bodies[:200]).grow(500)
	late := l.rewrite(l.bodies[:300]).grow(400) // the same, until the folder ends
	mallory, _ := testKey(origin, 2)
	other, _ := testKey("other.example.com/audit", 3)
	for name, tc := range map[string]struct {
		batches []audit.Batch
		want    error
	}{
		"rolled back":                  {[]audit.Batch{{Checkpoint: l.checkpoint(299)}}, archive.ErrRolledBack},
		"rolled back to nothing":       {[]audit.Batch{{Checkpoint: l.checkpoint(0)}}, archive.ErrRolledBack},
		"forked, at the same size":     {[]audit.Batch{{Checkpoint: fork.checkpoint(300)}}, archive.ErrForked},
		"forked before":                {[]audit.Batch{fork.batch(300, 700, fork.checkpoint(700))}, archive.ErrForked},
		"its own entries, forked head": {[]audit.Batch{l.batch(300, 700, late.checkpoint(700))}, archive.ErrForked},
		"forked entries, its own head": {[]audit.Batch{late.batch(300, 700, l.checkpoint(700))}, archive.ErrForked},
		"rolled back on the way":       {[]audit.Batch{l.batch(300, 301, l.checkpoint(700)), {Checkpoint: l.checkpoint(600)}}, archive.ErrRolledBack},
		"forked on the way":            {[]audit.Batch{l.batch(300, 301, l.checkpoint(700)), {Checkpoint: late.checkpoint(700)}}, archive.ErrForked},
		"a gap":                        {[]audit.Batch{l.batch(301, 700, l.checkpoint(700))}, archive.ErrGap},
		"an entry again":               {[]audit.Batch{l.batch(299, 700, l.checkpoint(700))}, archive.ErrGap},
		"no checkpoint":                {[]audit.Batch{l.batch(300, 700, nil)}, archive.ErrGap},
		"beyond the checkpoint":        {[]audit.Batch{l.batch(300, 601, l.checkpoint(600))}, archive.ErrGap},
		"signed with another key":      {[]audit.Batch{{Checkpoint: sign(t, l.head(700), mallory)}}, audit.ErrUnsigned},
		"signed by another log":        {[]audit.Batch{{Checkpoint: sign(t, l.head(700), other)}}, audit.ErrUnsigned},
		"no checkpoint at all":         {[]audit.Batch{{Checkpoint: []byte("700\n")}}, audit.ErrCheckpoint},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			if err := export(l, m, 300); err != nil {
				t.Fatal(err)
			}
			a, err := archive.OpenOn(m, l.vkey)
			if err != nil {
				t.Fatal(err)
			}
			for i, b := range tc.batches {
				err := a.Append(b)
				if last := i == len(tc.batches)-1; last && !errors.Is(err, tc.want) || !last && err != nil {
					t.Fatalf("batch %d: got %v, want %v", i, err, tc.want)
				}
			}
			if err := a.Append(l.batch(300, 700, l.checkpoint(700))); tc.batches[0].Entries != nil && err == nil {
				t.Error("it took more after a refusal")
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			r := verify(l, m.files())
			if wantGood(t, r); r.Size < 300 {
				t.Errorf("the folder is at %d", r.Size)
			}
			// The right log goes on.
			if err := export(l, m, 700); err != nil {
				t.Fatal(err)
			}
			wantGood(t, verify(l, m.files()))
		})
	}
}

// A stream may end at a checkpoint after a later one was announced.
func TestAppendCommitsEachCheckpointItReaches(t *testing.T) {
	l := newLog(t, 5).grow(500)
	m := newMemory()
	a, err := archive.OpenOn(m, l.vkey)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		batch audit.Batch
		want  int64
	}{
		{audit.Batch{Checkpoint: l.checkpoint(0)}, 0},
		{l.batch(0, 100, l.checkpoint(300)), 0},
		{l.batch(100, 200, l.checkpoint(400)), 0},
		{audit.Batch{Checkpoint: l.checkpoint(400)}, 0}, // again
		{l.batch(200, 300, nil), 300},
		{audit.Batch{}, 300},
		{l.batch(300, 350, l.checkpoint(500)), 300},
		{l.batch(350, 500, nil), 500}, // over the one at 400
		{audit.Batch{Checkpoint: l.checkpoint(500)}, 500},
	} {
		if err := a.Append(step.batch); err != nil {
			t.Fatal(err)
		}
		if _, size := a.Checkpoint(); size != step.want {
			t.Fatalf("the folder is at %d, want %d", size, step.want)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	wantGood(t, verify(l, m.files()))
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	l := newLog(t, 6).grow(300)
	_, foreign := testKey("other.example.com/audit", 3)
	_, wrong := testKey(origin, 2)
	at := func(name string, change func([]byte) []byte) func(fstest.MapFS) {
		return func(files fstest.MapFS) { files[name].Data = change(files[name].Data) }
	}
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	cut := func(b []byte) []byte { return b[1:] }
	remove := func(name string) func(fstest.MapFS) {
		return func(files fstest.MapFS) { delete(files, name) }
	}
	for name, tc := range map[string]struct {
		keys   string
		change func(fstest.MapFS)
		want   error
	}{
		"another log":        {foreign, func(fstest.MapFS) {}, archive.ErrOtherLog},
		"another key":        {wrong, func(fstest.MapFS) {}, audit.ErrUnsigned},
		"something else":     {l.vkey, remove("log.vkey"), archive.ErrNotArchive},
		"edited checkpoint":  {l.vkey, at("checkpoint", flip), audit.ErrUnsigned},
		"edited tile":        {l.vkey, at("tile/0/001.p/44", flip), archive.ErrDamaged},
		"edited upper tile":  {l.vkey, at("tile/1/000.p/1", flip), archive.ErrDamaged},
		"edited bundle":      {l.vkey, at("tile/entries/001.p/44", flip), archive.ErrDamaged},
		"tile cut short":     {l.vkey, at("tile/0/001.p/44", cut), archive.ErrDamaged},
		"bundle cut short":   {l.vkey, at("tile/entries/001.p/44", cut), archive.ErrDamaged},
		"tile missing":       {l.vkey, remove("tile/0/001.p/44"), archive.ErrDamaged},
		"upper tile missing": {l.vkey, remove("tile/1/000.p/1"), archive.ErrDamaged},
		"bundle missing":     {l.vkey, remove("tile/entries/001.p/44"), archive.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			files := folder(l, 300)
			tc.change(files)
			m := newMemory()
			for name, f := range files {
				if err := m.Put(name, f.Data); err != nil {
					t.Fatal(err)
				}
			}
			before := m.files()
			if _, err := archive.OpenOn(m, tc.keys); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			after := m.files()
			delete(before, "log.vkey") // is put right wherever it is of this log
			delete(after, "log.vkey")
			if !maps.EqualFunc(before, after, func(a, b *fstest.MapFile) bool { return bytes.Equal(a.Data, b.Data) }) {
				t.Error("it has changed the folder")
			}
		})
	}
}

func TestOpenRefusesTextWithoutKeys(t *testing.T) {
	m := newMemory()
	if _, err := archive.OpenOn(m, "# none\n"); err == nil {
		t.Error("there is no key, and it was opened")
	}
	if files := m.files(); len(files) > 0 {
		t.Errorf("it made files: %v", files)
	}
}

// While one key replaces another, folders go on with both.
func TestExportOverAChangeOfKeys(t *testing.T) {
	l := newLog(t, 7).grow(20)
	m := newMemory()
	if err := export(l, m, 10); err != nil {
		t.Fatal(err)
	}
	next, vkey := testKey(origin, 9)
	old := l.vkey
	a, err := archive.OpenOn(m, "# since 2026\n"+vkey+"\n\n  "+old)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Append(l.batch(10, 20, sign(t, l.head(20), next))); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := string(m.files()["log.vkey"].Data), vkey+"\n"+old+"\n"; got != want {
		t.Errorf("keys %q, want %q", got, want)
	}
	l.vkey, l.keys = vkey, verifiers(t, vkey)
	wantGood(t, verify(l, m.files()))
	wantGood(t, verify(l, m.files(), func(o *archive.Options) {
		o.Keys = slices.Concat(verifiers(t, old), o.Keys)
		o.Since = l.checkpoint(10)
	}))
}
