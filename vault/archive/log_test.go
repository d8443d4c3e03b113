package archive_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/vault/audit"
)

// dice is chance that falls the same way every time.
type dice struct{ state uint64 }

// roll is SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
// Generators, OOPSLA 2014).
func (d *dice) roll() uint64 {
	d.state += 0x9e3779b97f4a7c15
	z := d.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (d *dice) below(n int) int { return int(d.roll() % uint64(n)) }

func (d *dice) oneIn(n int) bool { return d.below(n) == 0 }

func pick[T any](d *dice, of ...T) T { return of[d.below(len(of))] }

func (d *dice) id() (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:8], d.roll())
	binary.BigEndian.PutUint64(id[8:], d.roll())
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

// keyPair makes the text of a key pair of sumdb/note from a seed; the type is one of
// C2SP signed-note, "Signature types".
func keyPair(name string, kind, seed byte) (skey, vkey string) {
	private := ed25519.NewKeyFromSeed(slices.Repeat([]byte{seed}, 32))
	public := append([]byte{kind}, private[32:]...)
	id := sha256.Sum256(append([]byte(name+"\n"), public...))
	text := func(key []byte) string { return base64.StdEncoding.EncodeToString(key) }
	return fmt.Sprintf("PRIVATE+KEY+%s+%x+%s", name, id[:4], text(append([]byte{kind}, private[:32]...))),
		fmt.Sprintf("%s+%x+%s", name, id[:4], text(public))
}

// testKey makes a key pair of a log from a seed.
func testKey(name string, seed byte) (note.Signer, string) {
	skey, vkey := keyPair(name, 1, seed)
	signer, err := note.NewSigner(skey)
	if err != nil {
		panic(err)
	}
	return signer, vkey
}

// logKey is the key pair that test logs have, made once.
var logKey = sync.OnceValues(func() (note.Signer, string) { return testKey(origin, 1) })

const origin = "cards.example.com/audit"

func verifiers(tb testing.TB, vkeys ...string) []note.Verifier {
	tb.Helper()
	var keys []note.Verifier
	for _, vkey := range vkeys {
		key, err := note.NewVerifier(vkey)
		if err != nil {
			tb.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

// quick signs and verifies as a key does by its name and id, with a hash: what is
// tested ten thousand times is not Ed25519.
type quick struct{ note.Verifier }

func (quick) Sign(msg []byte) ([]byte, error) {
	sum := sha256.Sum256(append([]byte("quick"), msg...))
	return sum[:], nil
}

func (q quick) Verify(msg, sig []byte) bool {
	want, err := q.Sign(msg)
	return err == nil && bytes.Equal(sig, want)
}

// quicken has a log sign quickly.
func (l *testLog) quicken() *testLog {
	q := quick{l.keys[0]}
	l.signer, l.keys = q, []note.Verifier{q}
	return l
}

// testLog is a log with several replicas, whose roots another implementation of
// the tree computes.
type testLog struct {
	tb     testing.TB
	dice   dice
	now    time.Time
	chains []audit.Chain
	bodies [][]byte
	// first is the first entry that was not dropped.
	first  int64
	tree   *compact.Range
	roots  []audit.Hash // by size
	signer note.Signer
	vkey   string
	keys   []note.Verifier
}

func newLog(tb testing.TB, seed uint64) *testLog {
	tb.Helper()
	l := &testLog{tb: tb, dice: dice{seed}, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	l.signer, l.vkey = logKey()
	l.keys = verifiers(tb, l.vkey)
	l.tree = (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	l.roots = []audit.Hash{audit.Hash(rfc6962.DefaultHasher.EmptyRoot())}
	for range 1 + l.dice.below(4) {
		l.chains = append(l.chains, audit.NewChain(l.dice.id()))
	}
	return l
}

func (l *testLog) size() int64 { return int64(len(l.bodies)) }

// anyEntry is an operation as the vault records it.
func (l *testLog) anyEntry() audit.Entry {
	d := &l.dice
	e := audit.Entry{
		Principal: pick(d, "", "spiffe://cardvault.test/tenant/demo/issuer", "spiffe://cardvault.test/tenant/demo/support-20260102030405"),
		Tenant:    pick(d, "", "demo", "acme"),
		Action:    pick(d, "IssueCard", "DetokenizeCard", "ListCards", "GetCard"),
		Decision:  pick(d, audit.Deny, audit.Allow),
		Policy:    pick(d, "", "issuer-cards"),
		Purpose:   pick(d, "", "refund", "Rückbuchung 411111******1111"),
		View:      pick(d, "", "FULL", "MASKED"),
		BINRange:  pick(d, "", "demo-visa-400000"),
		Result:    pick(d, "OK", "PERMISSION_DENIED"),
		Count:     pick(d, 0, 1000),
		Card:      d.id(),
		RequestID: d.id(),
	}
	if e.Principal != "" {
		// Random serial numbers, among them such as have the digits of a PAN.
		e.CertSerial = pick(d, fmt.Sprintf("%x", d.roll()), "4111111111111111")
	}
	if d.oneIn(8) {
		e.Digest = sha256.Sum256([]byte(e.Card.String()))
	}
	return e
}

// grow appends entries of all replicas.
func (l *testLog) grow(n int) *testLog {
	for range n {
		l.write(l.dice.below(len(l.chains)), l.anyEntry())
	}
	return l
}

// write appends an entry of one replica.
func (l *testLog) write(chain int, e audit.Entry) {
	l.now = l.now.Add(time.Duration(l.dice.below(1_000_000)) * time.Microsecond)
	skew := time.Duration(l.dice.below(60)) * time.Second
	var r audit.Record
	l.chains[chain], r = l.chains[chain].Append(e, l.now.Add(-skew))
	l.append(r.Body)
}

// append appends a body, whatever it is.
func (l *testLog) append(body []byte) {
	l.bodies = append(l.bodies, body)
	if err := l.tree.Append(rfc6962.DefaultHasher.HashLeaf(body), nil); err != nil {
		l.tb.Fatal(err)
	}
	root, err := l.tree.GetRootHash(nil)
	if err != nil {
		l.tb.Fatal(err)
	}
	l.roots = append(l.roots, audit.Hash(root))
}

// prune drops the bodies before first, after saying so.
func (l *testLog) prune(first int64) *testLog {
	l.write(0, audit.Entry{Action: "PruneLog", Decision: audit.Allow, Index: first, Result: "OK"})
	l.first = first
	return l
}

// rewrite returns a log with these bodies instead.
func (l *testLog) rewrite(bodies [][]byte) *testLog {
	other := newLog(l.tb, l.dice.state)
	other.chains, other.now, other.first = slices.Clone(l.chains), l.now, l.first
	other.signer, other.keys = l.signer, l.keys
	for _, body := range bodies {
		other.append(body)
	}
	return other
}

func (l *testLog) head(size int64) audit.Checkpoint {
	return audit.Checkpoint{Origin: origin, Size: size, Root: l.roots[size]}
}

func (l *testLog) checkpoint(size int64) []byte {
	return sign(l.tb, l.head(size), l.signer)
}

func sign(tb testing.TB, c audit.Checkpoint, signers ...note.Signer) []byte {
	tb.Helper()
	signed, err := note.Sign(&note.Note{Text: c.Text()}, signers...)
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

// batch returns entries as readers receive them.
func (l *testLog) batch(from, to int64, checkpoint []byte) audit.Batch {
	b := audit.Batch{Checkpoint: checkpoint}
	for i := from; i < to; i++ {
		e := audit.LogEntry{Index: i, Body: l.bodies[i]}
		if i < l.first {
			e.Body, e.Leaf = nil, audit.LeafHash(l.bodies[i])
		}
		b.Entries = append(b.Entries, e)
	}
	return b
}
