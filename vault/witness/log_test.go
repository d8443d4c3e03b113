package witness_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/witness"
)

const origin = "cards.example.com/audit"

// tree is a log in memory.
type tree struct {
	name   string
	signer note.Signer
	key    note.Verifier
	vkey   string
	hashes []tlog.Hash
	size   int64
}

func newTree(t testing.TB, name string, size int64) *tree {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	must(t, err)
	l := &tree{name: name, vkey: vkey}
	l.signer, err = note.NewSigner(skey)
	must(t, err)
	l.key, err = note.NewVerifier(vkey)
	must(t, err)
	l.grow(t, size, "")
	return l
}

func (l *tree) reader() tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var found []tlog.Hash
		for _, i := range indexes {
			found = append(found, l.hashes[i])
		}
		return found, nil
	})
}

// grow appends entries up to a size. Different words make different trees.
func (l *tree) grow(t testing.TB, size int64, word string) {
	t.Helper()
	for ; l.size < size; l.size++ {
		fresh, err := tlog.StoredHashes(l.size, fmt.Appendf(nil, "%s %d", word, l.size), l.reader())
		must(t, err)
		l.hashes = append(l.hashes, fresh...)
	}
}

// fork returns a log with the same key that has other entries after the third.
func (l *tree) fork(t testing.TB) *tree {
	t.Helper()
	const at = 3
	other := *l
	other.hashes = append([]tlog.Hash(nil), l.hashes[:tlog.StoredHashIndex(0, at)]...)
	other.size = at
	other.grow(t, l.size, "other")
	return &other
}

func (l *tree) root(t testing.TB, size int64) tlog.Hash {
	t.Helper()
	root, err := tlog.TreeHash(size, l.reader())
	must(t, err)
	return root
}

func (l *tree) text(t testing.TB, size int64) string {
	t.Helper()
	root := l.root(t, size)
	return fmt.Sprintf("%s\n%d\n%s\n", l.name, size, base64.StdEncoding.EncodeToString(root[:]))
}

func (l *tree) checkpoint(t testing.TB, size int64) []byte {
	t.Helper()
	return l.sign(t, l.text(t, size))
}

func (l *tree) sign(t testing.TB, text string, more ...note.Signer) []byte {
	t.Helper()
	msg, err := note.Sign(&note.Note{Text: text}, append(more, l.signer)...)
	must(t, err)
	return msg
}

func (l *tree) prove(old, size int64) (tlog.TreeProof, error) {
	return tlog.ProveTree(size, old, l.reader())
}

func (l *tree) prover(size int64) func(old int64) (tlog.TreeProof, error) {
	return func(old int64) (tlog.TreeProof, error) { return l.prove(old, size) }
}

// body is a request, right as far as the arguments are.
func body(old int64, proof tlog.TreeProof, checkpoint []byte) []byte {
	b := fmt.Appendf(nil, "old %d\n", old)
	for _, h := range proof {
		b = fmt.Appendf(b, "%s\n", base64.StdEncoding.EncodeToString(h[:]))
	}
	return append(append(b, '\n'), checkpoint...)
}

// request is what the log asks for a larger tree with.
func (l *tree) request(t testing.TB, old, size int64) []byte {
	t.Helper()
	var proof tlog.TreeProof
	if old > 0 && old < size {
		var err error
		proof, err = l.prove(old, size)
		must(t, err)
	}
	return body(old, proof, l.checkpoint(t, size))
}

// site is a witness on disk.
type site struct {
	keyFile, stateFile string
	key                *witness.Key
	logs               []note.Verifier
	now                time.Time
	logged             *bytes.Buffer

	*witness.Server
	state *witness.State
}

const witnessName = "witness.example/w1"

func newSite(t testing.TB, logs ...*tree) *site {
	t.Helper()
	return namedSite(t, witnessName, logs...)
}

func namedSite(t testing.TB, name string, logs ...*tree) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{keyFile: filepath.Join(dir, "key"), stateFile: filepath.Join(dir, "state"), now: time.Unix(1_800_000_000, 0), logged: new(bytes.Buffer)}
	for _, l := range logs {
		s.logs = append(s.logs, l.key)
	}
	must(t, witness.Create(s.keyFile, s.stateFile, name))
	s.start(t)
	return s
}

func (s *site) start(t testing.TB) {
	t.Helper()
	var err error
	s.key, err = witness.ReadKey(s.keyFile)
	must(t, err)
	s.state, err = witness.OpenState(s.stateFile, s.key, s.logs)
	must(t, err)
	t.Cleanup(func() { _ = s.state.Close() }) // a test may have closed it
	s.Server, err = witness.NewServer(witness.Config{
		Key: s.key, Logs: s.logs, State: s.state, Clock: func() time.Time { return s.now },
		Log: slog.New(slog.NewJSONHandler(s.logged, nil)),
	})
	must(t, err)
}

func (s *site) restart(t testing.TB) {
	t.Helper()
	must(t, s.state.Close())
	s.start(t)
}

func (s *site) verifier(t testing.TB) note.Verifier {
	t.Helper()
	v, err := s.key.Verifier()
	must(t, err)
	return v
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
