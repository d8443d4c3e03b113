package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/vault/audit"
)

// provenTree is a tree over bodies, as the go command's checksum database has it.
type provenTree struct {
	bodies [][]byte
	hashes []tlog.Hash
}

func newProvenTree(tb testing.TB, size int) *provenTree {
	tb.Helper()
	tree := &provenTree{}
	for i := range size {
		body := fmt.Appendf(nil, "entry %d", i)
		hashes, err := tlog.StoredHashes(int64(i), body, tree)
		if err != nil {
			tb.Fatal(err)
		}
		tree.bodies, tree.hashes = append(tree.bodies, body), append(tree.hashes, hashes...)
	}
	return tree
}

func (p *provenTree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		hashes[i] = p.hashes[x]
	}
	return hashes, nil
}

func (p *provenTree) root(tb testing.TB, size int64) tlog.Hash {
	tb.Helper()
	root, err := tlog.TreeHash(size, p)
	if err != nil {
		tb.Fatal(err)
	}
	return root
}

// prove returns a proof of an entry.
func (p *provenTree) prove(tb testing.TB, index, size int64, signer note.Signer) audit.Proof {
	tb.Helper()
	hashes, err := tlog.ProveRecord(size, index, p)
	if err != nil {
		tb.Fatal(err)
	}
	c := audit.Checkpoint{Origin: signer.Name(), Size: size, Root: p.root(tb, size)}
	return audit.Proof{Index: index, Hashes: hashes, Checkpoint: signed(tb, c.Text(), signer)}
}

// TestProofsAgainstAnotherImplementation has transparency-dev/merkle verify every
// proof of small trees.
func TestProofsAgainstAnotherImplementation(t *testing.T) {
	key := newLogKey(t, "example.com/log")
	tree := newProvenTree(t, 70)
	for size := int64(1); size <= 70; size++ {
		root := tree.root(t, size)
		for index := range size {
			p := tree.prove(t, index, size, key.signer)
			body := tree.bodies[index]
			read, err := audit.ParseProof(p.Text())
			if err != nil {
				t.Fatal(err)
			}
			c, err := read.Verify(body, key.verifier)
			if err != nil || c.Size != size || c.Root != root {
				t.Fatalf("entry %d of %d: %v, %v", index, size, c, err)
			}
			leaf := audit.LeafHash(body)
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(size), leaf[:], slicesOf(read.Hashes), root[:]); err != nil {
				t.Fatalf("entry %d of %d: %v", index, size, err)
			}
		}
		for first := int64(1); first < size; first++ {
			hashes, err := tlog.ProveTree(size, first, tree)
			if err != nil {
				t.Fatal(err)
			}
			old := tree.root(t, first)
			if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(first), uint64(size), slicesOf(hashes), old[:], root[:]); err != nil {
				t.Fatalf("from %d to %d: %v", first, size, err)
			}
		}
	}
}

func slicesOf[H ~[32]byte](hashes []H) [][]byte {
	slices := make([][]byte, len(hashes))
	for i := range hashes {
		slices[i] = hashes[i][:]
	}
	return slices
}

func TestProofVerifiesNothingElse(t *testing.T) {
	key, stranger := logKeys(t, "example.com/log")
	tree := newProvenTree(t, 20)
	good := tree.prove(t, 7, 20, key.signer)
	body := tree.bodies[7]
	for name, tc := range map[string]struct {
		change func(*audit.Proof)
		body   []byte
		want   error
	}{
		"as it is":          {func(*audit.Proof) {}, body, nil},
		"another body":      {func(*audit.Proof) {}, tree.bodies[6], audit.ErrNotProven},
		"no body":           {func(*audit.Proof) {}, nil, audit.ErrNotProven},
		"another index":     {func(p *audit.Proof) { p.Index = 6 }, body, audit.ErrNotProven},
		"a negative index":  {func(p *audit.Proof) { p.Index = -1 }, body, audit.ErrNotProven},
		"beyond the tree":   {func(p *audit.Proof) { p.Index = 20 }, body, audit.ErrNotProven},
		"a hash less":       {func(p *audit.Proof) { p.Hashes = p.Hashes[1:] }, body, audit.ErrNotProven},
		"a hash more":       {func(p *audit.Proof) { p.Hashes = append(p.Hashes, audit.Hash{}) }, body, audit.ErrNotProven},
		"no hash":           {func(p *audit.Proof) { p.Hashes = nil }, body, audit.ErrNotProven},
		"an edited hash":    {func(p *audit.Proof) { p.Hashes[2][5] ^= 1 }, body, audit.ErrNotProven},
		"another tree":      {func(p *audit.Proof) { p.Checkpoint = tree.prove(t, 7, 19, key.signer).Checkpoint }, body, audit.ErrNotProven},
		"another log's key": {func(p *audit.Proof) { p.Checkpoint = tree.prove(t, 7, 20, stranger.signer).Checkpoint }, body, audit.ErrUnsigned},
		"no checkpoint":     {func(p *audit.Proof) { p.Checkpoint = nil }, body, audit.ErrCheckpoint},
	} {
		p := good
		p.Hashes = append(tlog.RecordProof(nil), good.Hashes...)
		tc.change(&p)
		if c, err := p.Verify(tc.body, key.verifier); !errors.Is(err, tc.want) || tc.want == nil && err != nil || err != nil && c != (audit.Checkpoint{}) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

// No bit of a proof's text can be changed so that it still proves something else.
func TestProofShowsEveryFlip(t *testing.T) {
	key := newLogKey(t, "example.com/log")
	tree := newProvenTree(t, 5)
	text := tree.prove(t, 3, 5, key.signer).Text()
	for i := range text {
		for bit := range 8 {
			edited := bytes.Clone(text)
			edited[i] ^= 1 << bit
			p, err := audit.ParseProof(edited)
			if err != nil {
				continue
			}
			// Some bits of base64 mean nothing: then it proves what it did.
			if c, err := p.Verify(tree.bodies[3], key.verifier); err == nil && (p.Index != 3 || c.Size != 5 || c.Root != tree.root(t, 5)) {
				t.Errorf("bit %d of byte %d: proves entry %d of %d", bit, i, p.Index, c.Size)
			}
		}
	}
}

// The format of C2SP tlog-proof, "Format": its example has no whole signature.
func TestProofText(t *testing.T) {
	p := audit.Proof{Index: 73894, Hashes: tlog.RecordProof{{}, {31: 0xff}}, Checkpoint: []byte(specNote)}
	want := "c2sp.org/tlog-proof@v1\nindex 73894\n" +
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAP8=\n\n" + specNote
	if got := string(p.Text()); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	extra := strings.Replace(want, "index", "extra YWdl\nindex", 1)
	got, err := audit.ParseProof([]byte(extra))
	if err != nil || string(got.Text()) != want {
		t.Errorf("with extra data: %q, %v", got.Text(), err)
	}
}

func malformedProofs() []string {
	const text = "c2sp.org/tlog-proof@v1\nindex 7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n" + specNote
	edit := func(from, to string) string { return strings.Replace(text, from, to, 1) }
	return []string{
		"", "\n", edit("@v1", "@v2"), edit("c2sp", " c2sp"), edit("index 7", "index"), edit("index 7", "index -7"), edit("index 7", "7"),
		edit("index 7", "index 4611686018427387904"), edit("index 7", "index 18446744073709551616"), edit("index 7\n", ""),
		edit("index", "extra ?\nindex"), edit("AAAA=\n", "AAAA\n"), edit("AAA=", "A"), edit("AAAAAAAA", ""), edit("AAAAAAAA", "AAAA\rAAAA?"),
	}
}

func TestParseProofRefuses(t *testing.T) {
	for _, text := range malformedProofs() {
		if _, err := audit.ParseProof([]byte(text)); !errors.Is(err, audit.ErrProof) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestProofReadsWhatItWrote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := audit.Proof{Index: rapid.Int64Range(0, 1<<62-1).Draw(t, "index"), Checkpoint: []byte(specNote)}
		for range rapid.IntRange(0, 62).Draw(t, "hashes") {
			want.Hashes = append(want.Hashes, audit.Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash")))
		}
		got, err := audit.ParseProof(want.Text())
		if err != nil || got.Index != want.Index || fmt.Sprint(got.Hashes) != fmt.Sprint(want.Hashes) || !bytes.Equal(got.Checkpoint, want.Checkpoint) {
			t.Fatalf("got %v, %v; want %v", got, err, want)
		}
	})
}

// FuzzParseProof knows that a proof which parses reads the same again, and that
// none proves an entry that the log does not have.
func FuzzParseProof(f *testing.F) {
	key := newLogKey(f, "example.com/log")
	tree := newProvenTree(f, 20)
	f.Add(tree.prove(f, 7, 20, key.signer).Text())
	f.Add(tree.prove(f, 0, 1, key.signer).Text())
	for _, text := range malformedProofs() {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := audit.ParseProof(text)
		if err != nil {
			if !errors.Is(err, audit.ErrProof) {
				t.Fatal(err)
			}
			return
		}
		again, err := audit.ParseProof(p.Text())
		if err != nil || again.Index != p.Index || len(again.Hashes) != len(p.Hashes) || !bytes.Equal(again.Text(), p.Text()) {
			t.Fatalf("%q reads as %v, and then as %v, %v", text, p, again, err)
		}
		if _, err := p.Verify([]byte("not an entry"), key.verifier); err == nil {
			t.Fatalf("%q proves what is not there", text)
		}
	})
}
