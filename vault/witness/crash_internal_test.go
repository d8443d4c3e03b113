package witness

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// fragile is a disk that fails at one operation, and forgets in a crash what was not
// synced: the content of files, and the names of folders.
type fragile struct {
	now, safe map[string][]byte
	renames   []func(names map[string][]byte)
	synced    map[string][]byte // content of a file made durable, by name at that time
	// left is how many operations still work; below zero all do.
	left int
	dead bool
}

var errInjected = errors.New("injected")

func newFragile() *fragile {
	return &fragile{now: map[string][]byte{}, safe: map[string][]byte{}, synced: map[string][]byte{}, left: -1}
}

func (d *fragile) step() error {
	if d.dead || d.left == 0 {
		d.dead = true
		return errInjected
	}
	d.left--
	return nil
}

type fragileFile struct {
	disk *fragile
	path string
}

func (d *fragile) create(path string) (file, error) {
	if err := d.step(); err != nil {
		return nil, err
	}
	d.now[path] = nil
	d.synced[path] = nil
	d.renames = append(d.renames, func(names map[string][]byte) { names[path] = d.synced[path] })
	return &fragileFile{d, path}, nil
}

// Write does half its work before it fails.
func (f *fragileFile) Write(b []byte) (int, error) {
	err := f.disk.step()
	n := len(b)
	if err != nil {
		n /= 2
	}
	f.disk.now[f.path] = append(f.disk.now[f.path], b[:n]...)
	return n, err
}

func (f *fragileFile) Sync() error {
	if err := f.disk.step(); err != nil {
		return err
	}
	f.disk.synced[f.path] = bytes.Clone(f.disk.now[f.path])
	return nil
}

func (f *fragileFile) Close() error { return f.disk.step() }

func (d *fragile) rename(from, to string) error {
	if err := d.step(); err != nil {
		return err
	}
	content, durable := d.now[from], d.synced[from]
	delete(d.now, from)
	d.now[to] = content
	d.renames = append(d.renames, func(names map[string][]byte) {
		delete(names, from)
		names[to] = durable
	})
	return nil
}

func (d *fragile) syncFolder(string) error {
	if err := d.step(); err != nil {
		return err
	}
	d.settle(len(d.renames))
	return nil
}

func (d *fragile) read(path string) ([]byte, error) {
	content, ok := d.now[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return content, nil
}

// settle makes the first n changes of names durable.
func (d *fragile) settle(n int) {
	for _, change := range d.renames[:n] {
		change(d.safe)
	}
	d.renames = d.renames[n:]
}

// crash leaves what is durable, and of the changes of names that are not, as many as
// the file system happened to have written.
func (d *fragile) crash(also int) {
	d.settle(min(also, len(d.renames)))
	d.renames = nil
	d.now = maps.Clone(d.safe)
	d.left, d.dead = -1, false
}

// grower is a log that can prove anything about itself.
type grower struct {
	signer note.Signer
	key    note.Verifier
	hashes []tlog.Hash
	size   int64
}

func newGrower(t fataler) *grower {
	skey, vkey, err := note.GenerateKey(rand.Reader, "log.example/1")
	check(t, err)
	g := &grower{}
	g.signer, err = note.NewSigner(skey)
	check(t, err)
	g.key, err = note.NewVerifier(vkey)
	check(t, err)
	return g
}

type fataler interface{ Fatal(args ...any) }

func check(t fataler, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

func (g *grower) read(indexes []int64) ([]tlog.Hash, error) {
	var found []tlog.Hash
	for _, i := range indexes {
		found = append(found, g.hashes[i])
	}
	return found, nil
}

func (g *grower) grow(t fataler, n int64, word string) {
	for ; n > 0; n-- {
		fresh, err := tlog.StoredHashes(g.size, fmt.Appendf(nil, "%s%d", word, g.size), tlog.HashReaderFunc(g.read))
		check(t, err)
		g.hashes = append(g.hashes, fresh...)
		g.size++
	}
}

func (g *grower) fork(t fataler, at int64, word string) *grower {
	other := *g
	other.hashes = slices.Clone(g.hashes[:tlog.StoredHashIndex(0, at)])
	other.size = at
	other.grow(t, g.size-at, word)
	return &other
}

func (g *grower) root(t fataler, size int64) tlog.Hash {
	root, err := tlog.TreeHash(size, tlog.HashReaderFunc(g.read))
	check(t, err)
	return root
}

func (g *grower) request(t fataler, old, size int64) request {
	text := fmt.Sprintf("%s\n%d\n%s\n", g.key.Name(), size, g.root(t, size))
	msg, err := note.Sign(&note.Note{Text: text}, g.signer)
	check(t, err)
	r := request{old: old, checkpoint: msg}
	if 0 < old && old < size {
		r.proof, err = tlog.ProveTree(size, old, tlog.HashReaderFunc(g.read))
		check(t, err)
	}
	return r
}

// brittle is a witness on such a disk.
type brittle struct {
	disk *fragile
	key  *Key
	log  note.Verifier
	*Server
}

func newBrittle(t fataler, log note.Verifier) *brittle {
	key, err := NewKey("witness.example/w1")
	check(t, err)
	b := &brittle{disk: newFragile(), key: key, log: log}
	check(t, create(b.disk, "dir/key", "dir/state", key))
	b.start(t)
	return b
}

func (b *brittle) start(t fataler) {
	state, err := openState(b.disk, "dir/state", b.key, []note.Verifier{b.log})
	check(t, err)
	b.Server, err = NewServer(Config{
		Key: b.key, Logs: []note.Verifier{b.log}, State: state,
		Clock: func() time.Time { return time.Unix(1_800_000_000, 0) }, Log: slog.New(slog.DiscardHandler),
	})
	check(t, err)
}

// TestCrash: whatever operation on the file system fails, and whatever of it is on
// disk after the crash, a witness that is started again knows at least what was
// answered, and cosigns no fork of it.
func TestCrash(t *testing.T) {
	g := newGrower(t)
	g.grow(t, 12, "")
	const operations = 6 // create, write, sync, close, rename, syncFolder
	for fails := range operations + 1 {
		for also := range 3 {
			for _, crash := range []bool{true, false} {
				t.Run(fmt.Sprintf("after %d, %d more, crash %t", fails, also, crash), func(t *testing.T) {
					b := newBrittle(t, g.key)
					if _, err := b.add(t.Context(), g.request(t, 0, 5).encode()); err != nil {
						t.Fatal(err)
					}
					b.disk.left = fails
					_, err := b.add(t.Context(), g.request(t, 5, 8).encode())
					if answered := err == nil; answered != (fails == operations) {
						t.Fatalf("answered %t: %v", answered, err)
					}
					if size := b.state.latest[g.key.Name()].Size; err != nil && size != 5 {
						t.Fatalf("it shows %d entries that may be lost", size)
					}
					if crash {
						b.disk.crash(also)
						b.start(t)
					} else {
						b.disk.left, b.disk.dead = -1, false // it was a passing fault
					}
					size := b.state.latest[g.key.Name()].Size
					if size != 8 && (size != 5 || err == nil) {
						t.Fatalf("it remembers %d entries", size)
					}
					if _, err := b.add(t.Context(), g.fork(t, 4, "x").request(t, size, 12).encode()); err == nil {
						t.Error("a fork is cosigned")
					}
					if _, err := b.add(t.Context(), g.request(t, size, 12).encode()); err != nil {
						t.Errorf("it does not go on: %v", err)
					}
					b.disk.crash(0)
					b.start(t)
					if size := b.state.latest[g.key.Name()].Size; size != 12 {
						t.Errorf("it went on to 12 entries and remembers %d", size)
					}
				})
			}
		}
	}
}

// TestCrashCreate: after a crash at any operation there is a witness, or a Create
// makes one.
func TestCrashCreate(t *testing.T) {
	for fails := range 13 {
		for also := range 5 {
			d := newFragile()
			key, err := NewKey("witness.example/w1")
			check(t, err)
			d.left = fails
			err = create(d, "dir/key", "dir/state", key)
			if done := err == nil; done != (fails == 12) {
				t.Fatalf("after %d operations: %v", fails, err)
			}
			d.crash(also)
			if _, exists := d.now[filepath.Clean("dir/key")]; !exists {
				check(t, create(d, "dir/key", "dir/state", key))
			}
			again, err := ParseKey(string(d.now["dir/key"]))
			check(t, err)
			_, err = openState(d, "dir/state", again, nil)
			check(t, err)
		}
	}
}

// TestNeverTwoTrees: through any sequence of requests of a log that forks as it
// likes, faults, crashes and restarts, all trees that were ever cosigned lie on one
// line, and each is no smaller than those before.
func TestNeverTwoTrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := newGrower(t)
		g.grow(t, 12, "")
		trees := []*grower{g, g.fork(t, 0, "a"), g.fork(t, 5, "b"), g.fork(t, 9, "c")}
		b := newBrittle(t, g.key)
		answered := &history{trees: trees}
		t.Repeat(map[string]func(*rapid.T){
			"ask": func(t *rapid.T) {
				tree := rapid.SampledFrom(trees).Draw(t, "tree")
				size := rapid.Int64Range(0, 12).Draw(t, "size")
				old := rapid.OneOf(rapid.Just(b.state.latest[g.key.Name()].Size), rapid.Int64Range(0, 12)).Draw(t, "old")
				if _, err := b.add(t.Context(), tree.request(t, old, size).encode()); err == nil {
					answered.add(t, size, tree.root(t, size))
				}
			},
			"fail": func(t *rapid.T) { b.disk.left = rapid.IntRange(0, 6).Draw(t, "operations") },
			"heal": func(*rapid.T) { b.disk.left, b.disk.dead = -1, false },
			"crash": func(t *rapid.T) {
				b.disk.crash(rapid.IntRange(0, 3).Draw(t, "also"))
				b.start(t)
			},
			// What monitors are shown is answered as well.
			"": func(t *rapid.T) {
				shown := b.state.latest[g.key.Name()]
				answered.add(t, shown.Size, shown.Root)
			},
		})
	})
}

// history is what a witness has let out, and the trees that it could be of.
type history struct {
	trees []*grower
	last  int64
}

// add checks that some tree has all that was let out, in order.
func (h *history) add(t *rapid.T, size int64, root tlog.Hash) {
	if size < h.last {
		t.Fatalf("rolled back from %d to %d", h.last, size)
	}
	h.last = size
	has := func(tree *grower) bool { return size == 0 || tree.root(t, size) == root }
	h.trees = slices.DeleteFunc(slices.Clone(h.trees), func(tree *grower) bool { return !has(tree) })
	if len(h.trees) == 0 {
		t.Fatal("two trees were cosigned")
	}
}
