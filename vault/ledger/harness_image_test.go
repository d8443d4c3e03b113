package ledger_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
	"github.com/cardvault/cardvault/vault/vaulttest"
)

// image is a site whose database is put back to one state again and again.
type image struct {
	*site
	dice *dice
	db   *database
	// witness and auditor as they are in that state.
	witness   *witness
	witnessed note.Verifier
	public    string // the log's key
	mallory   *signer
	auditor   auditor
	// state is the tables; earlier ones had less. Forks go on from earlier ones with
	// other entries.
	state   tables
	earlier []tables
	forks   []tables
	// tails are all that replicas ever sealed.
	tails []row
	// leader is the replica that has the lease.
	leader uuid.UUID
	// undo is what restores the entries.
	undo []change
	// ended are the replicas that write no more.
	ended map[uuid.UUID]bool
}

// auditor is who exported the log, and what that one has of it.
type auditor struct {
	folder     string
	checkpoint []byte
}

// folder returns a folder in memory where the machine has one, so that writing it
// through costs little.
func folder(t *testing.T) string {
	t.Helper()
	const memory = "/dev/shm"
	if _, err := os.Stat(memory); errors.Is(err, fs.ErrNotExist) {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "cardvault-test-") //nolint:usetesting // not on a disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// newKey is newSigner, and the text of the verifier.
func newKey(t *testing.T, name string) (*signer, string) {
	t.Helper()
	private, public, err := note.GenerateKey(nil, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{Signer: s, verifier: v}, public
}

// newRandomSite returns a site for images, one after the other.
func newRandomSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, path: filepath.Join(folder(t), "cards.db")}
	s.store = s.open(s.path)
	return s
}

// newImage makes a log of several chains with about so many entries, in place of the
// one that the site had.
func newImage(t *testing.T, d *dice, s *site, db *database, entries int) *image {
	t.Helper()
	db.empty()
	key, public := newKey(t, origin)
	cosigner, _ := newKey(t, "witness.example.org")
	mine := *s
	mine.log, mine.key = &vaulttest.LogBuffer{}, key
	mine.clock = vaulttest.NewClock(time.Date(2026, time.March, 14, 15, 9, 26, 0, time.UTC))
	m := &image{
		site: &mine, dice: d, db: db, public: public, mallory: newSigner(t),
		witness: &witness{Signer: cosigner.Signer, log: key.verifier}, witnessed: cosigner.verifier,
		auditor: auditor{folder: filepath.Join(filepath.Dir(s.path), "audit-"+d.id().String())},
		leader:  d.id(), ended: map[uuid.UUID]bool{},
	}
	m.grow(entries)
	m.state = m.db.dump()
	m.db.keep()
	if n := mine.log.String(); n != "" {
		t.Fatalf("a clean log raised: %s", n)
	}
	return m
}

// living returns a replica that writes on.
func (m *image) living() *writer {
	var all []*writer
	for _, w := range m.writers {
		if !m.ended[w.id] {
			all = append(all, w)
		}
	}
	return pick(m.dice, all...)
}

// begin begins a chain.
func (m *image) begin() {
	w := m.writer()
	w.id = m.dice.id()
	w.chain = audit.NewChain(w.id)
}

// write commits entries of a replica.
func (m *image) write(w *writer, n int) {
	for range n {
		w.entry.Card = m.dice.id()
		w.entry.Count = m.dice.below(3)
		m.clock.Advance(time.Duration(m.dice.below(1e6)) * time.Microsecond)
		w.commit(1, sealTail)
		tail, _ := sealTail(audit.Tail{Replica: w.id, Number: w.chain.Len() - 1, Head: w.chain.Head()})
		m.tails = append(m.tails, row{tail.Replica[:], tail.Number, tail.Head[:], tail.Seal[:], tail.KEKKind, tail.Key})
	}
}

// grow writes the log: chains that begin and end, extensions of a few entries, each
// with its checkpoint; at the end entries that are in the log and no checkpoint
// covers, or that are not in the log at all, or neither.
func (m *image) grow(entries int) {
	m.t.Helper()
	f := &faults{}
	l := m.ledger(func(c *ledger.Config) {
		c.Replica, c.Witnesses, c.Verify = m.leader, m.witness, verifyTail
		between(f, c)
	})
	m.earlier = []tables{m.db.dump()}
	m.begin()
	m.begin()
	size := 0
	for size < entries {
		n := min(entries-size, 1+m.dice.below(max(3, entries/5)))
		m.write(m.living(), n)
		size += n
		if m.dice.oneIn(2) {
			m.step(l)
			m.earlier = append(m.earlier, m.db.dump())
			if m.dice.oneIn(2) {
				m.audit(l)
			}
		}
		if w := m.living(); m.dice.oneIn(4) && w.chain.Len() > 0 {
			m.ended[w.id] = true
			m.begin()
		}
	}
	m.step(l)
	if m.auditor.checkpoint == nil || m.dice.oneIn(2) {
		m.audit(l)
	}
	if m.dice.oneIn(3) {
		m.earlier = append(m.earlier, m.db.dump())
		f.on(failing("Sign", 0), nil)
		m.write(m.living(), 1+m.dice.below(4))
		if err := l.Step(m.t.Context()); !errors.Is(err, errInjected) {
			m.t.Fatalf("step: %v", err)
		}
	}
	for range m.dice.below(3) {
		m.earlier = append(m.earlier, m.db.dump())
		w := m.living()
		m.write(w, 1+m.dice.below(3))
		if m.dice.oneIn(3) {
			m.ended[w.id] = true
			m.begin()
		}
	}
}

// verifyTail is verifySeal, and that the key was wrapped by the KEK in use.
func verifyTail(ctx context.Context, tail audit.Tail) error {
	if tail.KEKKind != "test" {
		return errSealOfTest
	}
	return verifySeal(ctx, tail)
}

// fork makes forks: earlier states with other entries, that a real replica wrote and
// sealed and a sequencer took, only that it had not the log's key.
func (m *image) fork() {
	m.t.Helper()
	for range 4 {
		older := pick(m.dice, m.earlier...)
		if published(m.key, older) == published(m.key, m.state) || !m.apply(changes(m.state, older)) {
			continue
		}
		mine := *m.site
		mine.writers, mine.log = nil, &vaulttest.LogBuffer{}
		w := mine.writer()
		w.id = m.dice.id()
		w.chain = audit.NewChain(w.id)
		w.write(1 + m.dice.below(int(published(m.key, m.state)-published(m.key, older))+3))
		l := mine.ledger(func(c *ledger.Config) {
			c.Replica, c.Verify = m.leader, verifyTail
			if m.dice.oneIn(2) {
				c.Signer = forger{m.mallory, m.key.verifier}
			} else {
				f := &faults{}
				between(f, c)
				f.on(failing("Sign", 0), nil)
			}
		})
		_ = l.Step(m.t.Context())
		if l.Err() != nil {
			m.t.Fatal(l.Err())
		}
		m.forks = append(m.forks, m.db.dump())
		m.undo = changes(m.state, m.forks[len(m.forks)-1])
		m.restore()
	}
}

// apply makes changes until restore. False: the database refuses them.
func (m *image) apply(done []change) bool {
	m.t.Helper()
	if !m.db.apply(done) {
		return false
	}
	m.undo = done
	return true
}

// restore makes the database that of the image.
func (m *image) restore() {
	m.t.Helper()
	m.db.restore(m.undo, m.site.writers)
	m.undo = nil
}

// published returns how many entries the checkpoint covers.
func published(key *signer, ts tables) int64 {
	if len(ts["log_head"]) == 0 {
		return 0
	}
	signed, _ := ts["log_head"][0][6].([]byte)
	c, _ := audit.OpenCheckpoint(signed, key.verifier)
	return c.Size
}

// forger signs with a key that is not the log's, and takes it for one.
type forger struct {
	*signer
	log note.Verifier
}

func (f forger) Keys(context.Context) ([]note.Verifier, error) {
	return []note.Verifier{f.verifier, f.log}, nil
}

// world is the image with everybody who is there when a mutation happens.
type world struct {
	*image
	base    tables // what the living know
	knowing *ledger.Ledger
	writers []*writer
}

// enter begins anew: the database is the image's, and a ledger knows the log. Where
// it leads, it has published, and there are entries that it has not seen.
func (m *image) enter(leads bool) *world {
	m.t.Helper()
	m.restore()
	mine := *m.site
	mine.clock, mine.log = vaulttest.NewClock(m.clock.Now()), &vaulttest.LogBuffer{}
	mine.writers = nil
	other := *m
	other.site = &mine
	other.witness = &witness{Signer: m.witness.Signer, log: m.witness.log, newest: m.witness.newest, latest: m.witness.latest}
	for _, w := range m.site.writers {
		again := *w
		again.site, again.bodies = &mine, slices.Clip(w.bodies)
		mine.writers = append(mine.writers, &again)
	}
	v := &world{image: &other, base: m.state, writers: mine.writers}
	replica := m.dice.id()
	if leads {
		replica = m.leader
	}
	v.knowing = v.replica(replica)
	v.step(v.knowing)
	if leads {
		other.write(other.living(), m.dice.below(3))
		v.base = m.db.dump()
	}
	return v
}

// replica returns the ledger of a replica.
func (v *world) replica(id uuid.UUID) *ledger.Ledger {
	return v.ledger(func(c *ledger.Config) {
		c.Replica, c.Witnesses, c.Verify, c.Log = id, v.witness, verifyTail, loggerTo(v.log)
	})
}
