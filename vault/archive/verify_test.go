package archive_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/vault/archive"
	"github.com/cardvault/cardvault/vault/audit"
)

// edit parses a body, changes the entry, and encodes it again.
func edit(tb testing.TB, body []byte, change func(*audit.Entry)) []byte {
	tb.Helper()
	e, err := audit.Parse(body)
	if err != nil {
		tb.Fatal(err)
	}
	change(&e)
	return e.Encode()
}

func deny(e *audit.Entry) { e.Result += "!" }

// insider returns the folder of a log with one change that whoever has the log's own
// key could make: everything is hashed and signed anew.
func insider(l *testLog, change func(bodies [][]byte) [][]byte) fstest.MapFS {
	other := l.rewrite(change(slices.Clone(l.bodies)))
	return folder(other, other.size())
}

// follower returns the index of an entry that another of its replica follows.
func follower(l *testLog) int {
	seen := map[replicaID]bool{}
	for i, body := range slices.Backward(l.bodies) {
		e, err := audit.Parse(body)
		if err != nil {
			l.tb.Fatal(err)
		}
		if seen[e.Replica] {
			return i
		}
		seen[e.Replica] = true
	}
	l.tb.Fatal("no replica has two entries")
	return 0
}

type replicaID = [16]byte

// TestVerifyNamesTheClass makes each kind of wrong, and nothing else.
func TestVerifyNamesTheClass(t *testing.T) {
	t.Parallel()
	l := newLog(t, 10).grow(600)
	mallory, _ := testKey(origin, 2)
	bundles := []string{"tile/entries/000", "tile/entries/001"}
	for name, tc := range map[string]struct {
		make func(files fstest.MapFS) fstest.MapFS
		want []archive.Class
		at   string // path and index of the first finding
	}{
		"an entry, in the bundle alone": {func(files fstest.MapFS) fstest.MapFS {
			return withBundle(t, files, bundles[1], func(b [][]byte) [][]byte { b[7] = edit(t, b[7], deny); return b })
		}, []archive.Class{archive.ClassEntry}, "tile/entries/001 263"},
		"an entry, and all hashes": {func(files fstest.MapFS) fstest.MapFS {
			edited := insider(l, func(b [][]byte) [][]byte { b[len(b)-1] = edit(t, b[len(b)-1], deny); return b })
			edited["checkpoint"] = files["checkpoint"]
			return edited
		}, []archive.Class{archive.ClassTree}, "checkpoint -1"},
		"an entry, all hashes and the signature, with another key": {func(_ fstest.MapFS) fstest.MapFS {
			other := l.rewrite(l.bodies[:599])
			other.signer = mallory
			return at(folderUnchecked(other), "checkpoint", other.checkpoint(599))
		}, []archive.Class{archive.ClassSignature}, "checkpoint -1"},
		"an entry, with the log's own key": {func(_ fstest.MapFS) fstest.MapFS {
			i := follower(l)
			return insider(l, func(b [][]byte) [][]byte { b[i] = edit(t, b[i], deny); return b })
		}, []archive.Class{archive.ClassChain}, ""},
		"an entry left out, with the log's own key": {func(_ fstest.MapFS) fstest.MapFS {
			i := follower(l)
			return insider(l, func(b [][]byte) [][]byte { return slices.Delete(b, i, i+1) })
		}, []archive.Class{archive.ClassChain}, ""},
		"an entry twice, with the log's own key": {func(_ fstest.MapFS) fstest.MapFS {
			return insider(l, func(b [][]byte) [][]byte { return append(b, b[599]) })
		}, []archive.Class{archive.ClassChain}, "tile/entries/002.p/89 600"},
		"a chain that does not begin at 0, with the log's own key": {func(_ fstest.MapFS) fstest.MapFS {
			return insider(l, func(b [][]byte) [][]byte {
				return append(b, edit(t, b[0], func(e *audit.Entry) { e.Replica[3] ^= 1; e.Number = 1; e.Time = l.now }))
			})
		}, []archive.Class{archive.ClassChain}, ""},
		"a chain whose time runs backwards, with the log's own key": {func(_ fstest.MapFS) fstest.MapFS {
			return insider(l, func(b [][]byte) [][]byte {
				last := b[599]
				return append(b, edit(t, last, func(e *audit.Entry) {
					e.Number++
					e.Prev, e.Time = audit.LeafHash(last), e.Time.Add(-time.Microsecond)
				}))
			})
		}, []archive.Class{archive.ClassChain}, ""},
		"an entry of no vault": {func(_ fstest.MapFS) fstest.MapFS {
			return insider(l, func(b [][]byte) [][]byte { return append(b, []byte(`{"v":2}`)) })
		}, []archive.Class{archive.ClassEntry}, "tile/entries/002.p/89 600"},
		"an old entry": {func(_ fstest.MapFS) fstest.MapFS {
			return insider(l, func(b [][]byte) [][]byte {
				_, r := audit.NewChain(replicaID{1}).Append(audit.Entry{Action: "GetCard"}, l.now.Add(-time.Hour))
				return append(b, r.Body)
			})
		}, []archive.Class{archive.ClassTime}, "tile/entries/002.p/89 600"},
		"a PAN in an entry": {func(_ fstest.MapFS) fstest.MapFS {
			return insider(l, func(b [][]byte) [][]byte {
				_, r := audit.NewChain(replicaID{1}).Append(audit.Entry{Purpose: "for 4111-1111-1111-1111"}, l.now)
				return append(b, r.Body)
			})
		}, []archive.Class{archive.ClassCardData}, "tile/entries/002.p/89 600"},
		"a tile of leaves": {func(files fstest.MapFS) fstest.MapFS {
			return flip(files, "tile/0/001", 5*32)
		}, []archive.Class{archive.ClassTree}, "tile/0/001 261"},
		"two hashes of a tile": {func(files fstest.MapFS) fstest.MapFS {
			return flip(flip(files, "tile/0/001", 5*32), "tile/0/001", 8000)
		}, []archive.Class{archive.ClassTree}, "tile/0/001 261"},
		"the tile of leaves that is not full": {func(files fstest.MapFS) fstest.MapFS {
			return flip(files, "tile/0/002.p/88", 87*32)
		}, []archive.Class{archive.ClassEntry, archive.ClassTree}, "tile/entries/002.p/88 599"},
		"a tile above": {func(files fstest.MapFS) fstest.MapFS {
			return flip(files, "tile/1/000.p/2", 40)
		}, []archive.Class{archive.ClassTree}, "tile/1/000.p/2 -1"},
		"a tile cut short": {func(files fstest.MapFS) fstest.MapFS {
			return at(files, "tile/0/001", files["tile/0/001"].Data[:8191])
		}, []archive.Class{archive.ClassTree}, "tile/0/001 -1"},
		"a bundle cut short": {func(files fstest.MapFS) fstest.MapFS {
			data := files["tile/entries/002.p/88"].Data
			return at(files, "tile/entries/002.p/88", data[:len(data)-1])
		}, []archive.Class{archive.ClassBundle}, "tile/entries/002.p/88 -1"},
		"a bundle one entry short": {func(files fstest.MapFS) fstest.MapFS {
			return withBundle(t, files, "tile/entries/002.p/88", func(b [][]byte) [][]byte { return b[:87] })
		}, []archive.Class{archive.ClassBundle}, "tile/entries/002.p/88 -1"},
		"a bundle one entry long": {func(files fstest.MapFS) fstest.MapFS {
			return withBundle(t, files, "tile/entries/002.p/88", func(b [][]byte) [][]byte { return append(b, b[0]) })
		}, []archive.Class{archive.ClassBundle}, "tile/entries/002.p/88 -1"},
		"a bundle without end": {func(files fstest.MapFS) fstest.MapFS {
			return at(files, "tile/entries/002.p/88", make([]byte, 256*65_537+1))
		}, []archive.Class{archive.ClassBundle}, "tile/entries/002.p/88 -1"},
		"bundles swapped": {func(files fstest.MapFS) fstest.MapFS {
			files[bundles[0]], files[bundles[1]] = files[bundles[1]], files[bundles[0]]
			return files
		}, []archive.Class{archive.ClassEntry, archive.ClassChain}, "tile/entries/000 0"},
		"no bundle": {func(files fstest.MapFS) fstest.MapFS {
			delete(files, "tile/entries/002.p/88")
			return files
		}, []archive.Class{archive.ClassMissing}, "tile/entries/002.p/88 512"},
		"no tile": {func(files fstest.MapFS) fstest.MapFS {
			delete(files, "tile/0/001")
			return files
		}, []archive.Class{archive.ClassMissing}, "tile/0/001 -1"},
		"no upper tile": {func(files fstest.MapFS) fstest.MapFS {
			delete(files, "tile/1/000.p/2")
			return files
		}, []archive.Class{archive.ClassMissing}, "tile/1/000.p/2 -1"},
		"no checkpoint": {func(files fstest.MapFS) fstest.MapFS {
			delete(files, "checkpoint")
			return files
		}, []archive.Class{archive.ClassMissing}, "checkpoint -1"},
		"no keys": {func(files fstest.MapFS) fstest.MapFS {
			delete(files, "log.vkey")
			return files
		}, []archive.Class{archive.ClassMissing}, "log.vkey -1"},
		"keys of another log": {func(files fstest.MapFS) fstest.MapFS {
			_, vkey := testKey("other.example.com/audit", 3)
			return at(files, "log.vkey", []byte(vkey+"\n"))
		}, []archive.Class{archive.ClassSignature}, "log.vkey -1"},
		"a size that was made up": {func(files fstest.MapFS) fstest.MapFS {
			c := audit.Checkpoint{Origin: origin, Size: 1 << 61, Root: l.roots[1]}
			return at(files, "checkpoint", sign(t, c, l.signer))
		}, []archive.Class{archive.ClassMissing}, "tile/0/002 -1"},
		"a signature twice": {func(files fstest.MapFS) fstest.MapFS {
			signed := string(files["checkpoint"].Data)
			return at(files, "checkpoint", []byte(signed+signed[strings.Index(signed, "\n\n")+2:]))
		}, []archive.Class{archive.ClassSignature}, "checkpoint -1"},
		"a file more": {func(files fstest.MapFS) fstest.MapFS {
			return at(files, "tile/0/000.bak", nil)
		}, []archive.Class{archive.ClassExtra}, "tile/0/000.bak -1"},
		"a tile too many": {func(files fstest.MapFS) fstest.MapFS {
			return at(files, "tile/0/002.p/89", nil)
		}, []archive.Class{archive.ClassExtra}, "tile/0/002.p/89 -1"},
		"a tile of a level too many": {func(files fstest.MapFS) fstest.MapFS {
			return at(files, "tile/2/000.p/1", nil)
		}, []archive.Class{archive.ClassExtra}, "tile/2/000.p/1 -1"},
		"a link": {func(files fstest.MapFS) fstest.MapFS {
			files["tile/0/002.p/7"] = &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte("../../0/000")}
			return files
		}, []archive.Class{archive.ClassExtra}, "tile/0/002.p/7 -1"},
		"an earlier tile": {func(files fstest.MapFS) fstest.MapFS {
			return flip(at(files, "tile/0/002.p/7", files["tile/0/002.p/88"].Data[:7*32]), "tile/0/002.p/7", 0)
		}, []archive.Class{archive.ClassTree}, "tile/0/002.p/7 -1"},
		"an earlier bundle": {func(files fstest.MapFS) fstest.MapFS {
			at(files, "tile/entries/002.p/7", files["tile/entries/002.p/88"].Data)
			return withBundle(t, files, "tile/entries/002.p/7", func(b [][]byte) [][]byte { b[6] = edit(t, b[6], deny); return b[:7] })
		}, []archive.Class{archive.ClassEntry}, "tile/entries/002.p/7 -1"},
		"an earlier bundle one short": {func(files fstest.MapFS) fstest.MapFS {
			at(files, "tile/entries/002.p/7", files["tile/entries/002.p/88"].Data)
			return withBundle(t, files, "tile/entries/002.p/7", func(b [][]byte) [][]byte { return b[:6] })
		}, []archive.Class{archive.ClassBundle}, "tile/entries/002.p/7 -1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := verify(l, tc.make(folder(l, 600)))
			got := slices.Sorted(maps.Keys(r.Counts))
			if slices.Sort(tc.want); !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
				for _, f := range r.Findings[:min(len(r.Findings), 10)] {
					t.Errorf("%s %s %d: %s", f.Class, f.Path, f.Index, f.Text)
				}
			}
			if len(r.Findings) == 0 {
				t.Fatal("no finding")
			}
			if f := r.Findings[0]; tc.at != "" && f.Path+" "+jsonOf(t, f.Index) != tc.at {
				t.Errorf("at %s %d, want %s", f.Path, f.Index, tc.at)
			}
		})
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// at puts a file in place.
func at(files fstest.MapFS, name string, content []byte) fstest.MapFS {
	files[name] = &fstest.MapFile{Data: slices.Clone(content), Mode: 0o600}
	return files
}

func flip(files fstest.MapFS, name string, i int) fstest.MapFS {
	files[name].Data[i] ^= 1
	return files
}

func withBundle(t *testing.T, files fstest.MapFS, name string, change func([][]byte) [][]byte) fstest.MapFS {
	t.Helper()
	bodies, err := audit.ParseBundle(files[name].Data)
	if err != nil {
		t.Fatal(err)
	}
	var bundle []byte
	for _, body := range change(bodies) {
		bundle = audit.AppendBundle(bundle, body)
	}
	return at(files, name, bundle)
}

// folderUnchecked is a folder of the log whose checkpoint another than the log's own
// key signs.
func folderUnchecked(l *testLog) fstest.MapFS {
	l.tb.Helper()
	signer := l.signer
	defer func() { l.signer = signer }()
	l.signer, _ = logKey()
	return folder(l, l.size())
}

// TestVerifySince compares logs with what was remembered of them.
func TestVerifySince(t *testing.T) {
	t.Parallel()
	l := newLog(t, 11).grow(800)
	remembered := []int64{0, 1, 2, 3, 100, 255, 256, 257, 511, 512, 513, 767, 768, 800}
	files := folder(l, 800)
	for _, size := range remembered {
		r := verify(l, files, since(l.checkpoint(size)))
		wantGood(t, r)
		if r.Since == nil || *r.Since != size {
			t.Errorf("compared with %v, want %d", r.Since, size)
		}
	}
	other := newLog(t, 12).grow(800)
	for _, size := range remembered[1:] {
		r := verify(l, files, since(other.checkpoint(size)))
		if got := slices.Collect(maps.Keys(r.Counts)); !slices.Equal(got, []archive.Class{archive.ClassInconsistent}) {
			t.Errorf("since a fork at %d: %v", size, r.Findings)
		}
	}
	shorter := folder(l, 300)
	for _, size := range []int64{301, 512, 800} {
		r := verify(l, shorter, since(l.checkpoint(size)))
		if got := slices.Collect(maps.Keys(r.Counts)); !slices.Equal(got, []archive.Class{archive.ClassInconsistent}) {
			t.Errorf("rolled back from %d: %v", size, r.Findings)
		}
	}
}

func since(signed []byte) func(*archive.Options) {
	return func(o *archive.Options) { o.Since = signed }
}

func TestVerifyRefusesWhatIsOfNoUse(t *testing.T) {
	l := newLog(t, 13).grow(3)
	files := folder(l, 3)
	mallory, _ := testKey(origin, 2)
	if _, err := archive.Verify(t.Context(), files, archive.Options{}); err == nil {
		t.Error("no key, and no error")
	}
	keys := verifiers(t, l.vkey)
	_, err := archive.Verify(t.Context(), files, archive.Options{Keys: keys, Since: sign(t, l.head(2), mallory)})
	if !errors.Is(err, audit.ErrUnsigned) {
		t.Errorf("a checkpoint of somebody else to compare with: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := archive.Verify(ctx, files, archive.Options{Keys: keys}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := archive.Verify(t.Context(), brokenFS{files}, archive.Options{Keys: keys}); !errors.Is(err, errDied) {
		t.Errorf("a broken disk: %v", err)
	}
}

// brokenFS fails to read bundles.
type brokenFS struct{ fs.FS }

func (b brokenFS) Open(name string) (fs.File, error) {
	if strings.Contains(name, "entries/") {
		return nil, errDied
	}
	return b.FS.Open(name)
}

// An export that goes on while the folder is read is not somebody who edits it.
func TestVerifyWhileAnExportGoesOn(t *testing.T) {
	l := newLog(t, 19).grow(300)
	o := archive.Options{Keys: verifiers(t, l.vkey)}
	before, after := folder(l, 200), folder(l, 300)
	if _, err := archive.Verify(t.Context(), &movingFS{before: before, after: after}, o); !errors.Is(err, archive.ErrChanged) {
		t.Errorf("got %v", err)
	}
	// Where nothing seems wrong, it does not matter.
	same := maps.Clone(before)
	at(same, "checkpoint", sign(t, l.head(200), l.signer, l.signer))
	r, err := archive.Verify(t.Context(), &movingFS{before: before, after: same}, o)
	if err != nil || !r.Good() {
		t.Errorf("got %v, %v", r, err)
	}
}

// movingFS is another folder once the checkpoint was read.
type movingFS struct {
	before, after fstest.MapFS
	moved         atomic.Bool
}

func (m *movingFS) Open(name string) (fs.File, error) {
	if m.moved.Load() {
		return m.after.Open(name)
	}
	if name == "checkpoint" {
		defer m.moved.Store(true)
	}
	return m.before.Open(name)
}

func TestVerifyTakesTheSkewItIsGiven(t *testing.T) {
	l := newLog(t, 14).grow(5)
	_, r := audit.NewChain(replicaID{1}).Append(audit.Entry{Action: "GetCard"}, l.now.Add(-20*time.Minute))
	l.append(r.Body)
	files := folder(l, 6)
	if r := verify(l, files); !r.Has(archive.ClassTime) {
		t.Error("20 minutes are within 15")
	}
	wantGood(t, verify(l, files, func(o *archive.Options) { o.MaxSkew = 30 * time.Minute }))
}

// One clock that is ahead is one finding, however many entries follow.
func TestVerifyCountsLateEntriesTogether(t *testing.T) {
	l := newLog(t, 15).grow(10)
	_, r := audit.NewChain(replicaID{1}).Append(audit.Entry{Action: "GetCard"}, l.now.Add(24*time.Hour))
	l.append(r.Body)
	l.grow(300)
	report := verify(l, folder(l, l.size()))
	if len(report.Findings) != 1 || report.Findings[0].Class != archive.ClassTime || report.Findings[0].Index != 11 ||
		!strings.HasSuffix(report.Findings[0].Text, ": 300") {
		t.Errorf("got %v", report.Findings)
	}
}

func TestVerifyCapsFindingsNotCounts(t *testing.T) {
	l := newLog(t, 16).grow(250)
	files := withBundle(t, folder(l, 250), "tile/entries/000.p/250", func(b [][]byte) [][]byte {
		for i := range b {
			b[i] = edit(t, b[i], deny)
		}
		return b
	})
	r := verify(l, files)
	if r.Counts[archive.ClassEntry] != 250 || len(r.Findings) != 100 {
		t.Errorf("%d findings of %v", len(r.Findings), r.Counts)
	}
}

// quorum stands for a policy.
type quorum []byte

func (q quorum) Satisfied(checkpoint []byte) bool { return bytes.Contains(checkpoint, q) }

func TestVerifyAsksThePolicy(t *testing.T) {
	l := newLog(t, 17).grow(5)
	witness, _ := testKey("witness.example.com/w1", 5)
	l2 := *l
	files := folder(&l2, 5)
	signed, err := note.Sign(&note.Note{Text: l.head(5).Text()}, l.signer, witness)
	if err != nil {
		t.Fatal(err)
	}
	policy := func(o *archive.Options) { o.Witnesses = quorum("witness.example.com/w1") }
	if r := verify(l, files, policy); !r.Has(archive.ClassWitness) || len(r.Counts) != 1 {
		t.Errorf("not cosigned: %v", r.Findings)
	}
	wantGood(t, verify(l, at(files, "checkpoint", signed), policy))
}

// A report is JSON with the same keys every time.
func TestReportAsJSON(t *testing.T) {
	l := newLog(t, 18).grow(3)
	got := jsonOf(t, verify(l, at(folder(l, 3), "x", nil), since(l.checkpoint(1))))
	first, last := verify(l, folder(l, 3)).First, verify(l, folder(l, 3)).Last
	want := `{"origin":"cards.example.com/audit","size":3,"root":` + jsonOf(t, l.roots[3]) + `,"since":1,"entries":3,"dropped":0,"chains":` +
		jsonOf(t, verify(l, folder(l, 3)).Chains) + `,"first_time":` + jsonOf(t, first) + `,"last_time":` + jsonOf(t, last) +
		`,"findings":[{"class":"EXTRA","path":"x","index":-1,"text":"no such file belongs here"}],"counts":{"EXTRA":1}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Every bit of a signed checkpoint counts, and of the keys: also those that a base64
// decoder does not look at.
func TestVerifyShowsEveryFlipOfTheHead(t *testing.T) {
	t.Parallel()
	l := newLog(t, 22).grow(2)
	files := folder(l, 2)
	for _, name := range []string{"checkpoint", "log.vkey"} {
		for i := range files[name].Data {
			for bit := range 8 {
				files[name].Data[i] ^= 1 << bit
				if verify(l, files).Good() {
					t.Errorf("bit %d of byte %d of %s", bit, i, name)
				}
				files[name].Data[i] ^= 1 << bit
			}
		}
	}
	wantGood(t, verify(l, files))
}
