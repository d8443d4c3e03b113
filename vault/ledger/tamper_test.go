package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
)

// edit changes the database behind everybody's back.
func (s *site) edit(sql string, args ...any) {
	s.t.Helper()
	s.editing(func(conn *sqlite.Conn) error {
		err := sqlitex.Execute(conn, sql, &sqlitex.ExecOptions{Args: args})
		if err == nil && !strings.HasPrefix(sql, "VACUUM") && conn.Changes() == 0 {
			err = errors.New("nothing changed")
		}
		return err
	})
}

func (s *site) editing(edit func(conn *sqlite.Conn) error) {
	s.t.Helper()
	conn, err := sqlite.OpenConn(s.path, sqlite.OpenReadWrite)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetBusyTimeout(10 * time.Second)
	if err := edit(conn); err != nil {
		s.t.Fatal(err)
	}
}

// replaceable is a store that is one database and then another.
type replaceable struct{ ledger.Store }

// halts fails the test unless a step halts the ledger for a reason with these words,
// for good and with an alarm.
func (s *site) halts(l *ledger.Ledger, words string) {
	s.t.Helper()
	_ = l.Step(s.t.Context())
	for range 2 { // it stays so
		err := l.Step(s.t.Context())
		halted, is := errors.AsType[*ledger.HaltedError](err)
		if !is || !strings.Contains(halted.Reason, words) || !errors.Is(l.Err(), err) {
			s.t.Fatalf("step: %v (Err: %v), want it halted for %q", err, l.Err(), words)
		}
	}
	if s.alarms("audit log halted") != 1 {
		s.t.Errorf("%d alarms", s.alarms("audit log halted"))
	}
	if _, _, err := l.Checkpoint(s.t.Context()); !errors.Is(err, l.Err()) {
		s.t.Errorf("checkpoint of a halted log: %v", err)
	}
	for _, err := range l.Read(s.t.Context(), 0, 0, true) {
		if !errors.Is(err, l.Err()) {
			s.t.Errorf("read of a halted log: %v", err)
		}
	}
}

// TestOtherLogHalts replaces or edits the log under replicas that have seen it. Both
// the one that sequences and one that watches notice.
func TestOtherLogHalts(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s, older *site)
		words  string
	}{
		"rolled back": {func(s, older *site) { s.store = older.store }, "rolled back from 300 to 200 entries"},
		"rolled back and grown again": {func(s, older *site) {
			older.writer().write(100)
			older.takeOver(older.ledger(nil))
			s.store = older.store
		}, "forked"},
		"rolled back and grown further": {func(s, older *site) {
			older.writer().write(400)
			older.takeOver(older.ledger(nil))
			s.store = older.store
		}, "forked"},
		"checkpoint taken back": {func(s, older *site) {
			s.edit("UPDATE log_head SET checkpoint = ?", older.head().Checkpoint)
		}, "rolled back from 300 to 200 entries"},
		"checkpoint gone": {func(s, _ *site) { s.edit("UPDATE log_head SET checkpoint = NULL") }, "rolled back from 300 to 0"},
		"checkpoint of another key": {func(s, _ *site) {
			other := newSigner(s.t)
			c := audit.Checkpoint{Origin: origin, Size: 300, Root: audit.Hash{1}}
			s.edit("UPDATE log_head SET checkpoint = ?", sign(s.t, other, c))
		}, "not signed by the log's key"},
		"checkpoint of another log": {func(s, _ *site) {
			c := audit.Checkpoint{Origin: "other.example.com/audit", Size: 300}
			s.edit("UPDATE log_head SET checkpoint = ?", sign(s.t, s.key, c))
		}, "not signed by the log's key"},
		"checkpoint edited": {func(s, _ *site) {
			s.edit("UPDATE log_head SET checkpoint = ?", bytes.Replace(s.head().Checkpoint, []byte("\n300\n"), []byte("\n301\n"), 1))
		}, "not signed by the log's key"},
		"checkpoint of other entries": {func(s, _ *site) {
			c := audit.Checkpoint{Origin: origin, Size: 300, Root: audit.Hash{1}}
			s.edit("UPDATE log_head SET checkpoint = ?", sign(s.t, s.key, c))
		}, "forked"},
		"checkpoint of more than there is": {func(s, _ *site) {
			c := audit.Checkpoint{Origin: origin, Size: 301, Root: audit.Hash{1}}
			s.edit("UPDATE log_head SET checkpoint = ?", sign(s.t, s.key, c))
		}, "rolled back from 301 to 300"},
		"size cut":           {func(s, _ *site) { s.edit("UPDATE log_head SET size = 299") }, "rolled back from 300 to 299"},
		"size with no tiles": {func(s, _ *site) { s.edit("UPDATE log_head SET size = 301") }, "forked"},
		"tile edited": {func(s, _ *site) {
			s.edit("UPDATE log_tiles SET hashes = CAST(zeroblob(32) || substr(hashes, 33) AS BLOB) WHERE level = 0 AND tile = 1")
		}, "forked"},
		"tile of a level above edited": {func(s, _ *site) {
			s.edit("UPDATE log_tiles SET hashes = CAST(zeroblob(32) || substr(hashes, 33) AS BLOB) WHERE level = 1")
		}, "forked"},
		"tile cut": {func(s, _ *site) {
			s.edit("UPDATE log_tiles SET hashes = substr(hashes, 33) WHERE level = 0 AND tile = 1")
		}, "forked"},
		"tile gone": {func(s, _ *site) { s.edit("DELETE FROM log_tiles WHERE level = 0 AND tile = 1") }, "forked"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, watcher := range []bool{false, true} {
				t.Run(fmt.Sprintf("watcher %v", watcher), func(t *testing.T) {
					s := newSite(t)
					a := s.writer()
					store := &replaceable{s.store}
					l := s.ledger(func(c *ledger.Config) { c.Store = store })
					leader := l
					if watcher {
						leader = s.ledger(nil)
					}
					a.write(200)
					s.step(leader)
					s.step(l)
					older := s.backup(t)
					older.writers = nil
					a.write(100)
					s.step(leader)
					s.step(l)
					s.checkLog(l)
					c.change(s, older)
					store.Store = s.store
					s.halts(l, c.words)
				})
			}
		})
	}
}

func sign(t *testing.T, s *signer, c audit.Checkpoint) []byte {
	t.Helper()
	signed, err := note.Sign(&note.Note{Text: c.Text()}, s.Signer)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// TestReadersGetNothingAltered edits what readers would get. A tile that is full
// and left of the edge shows where it is read, not in a step.
func TestReadersGetNothingAltered(t *testing.T) {
	const at = 40
	for name, c := range map[string]struct {
		edit   string
		proven bool  // the entry can still be proven
		index  int64 // that Read names
		entry  int64 // that EntryAt is asked for
	}{
		"body":               {"UPDATE audit_entries SET body = CAST(replace(body, 'Test', 'Text') AS BLOB) WHERE number = 40", true, at, at},
		"body emptied":       {"UPDATE audit_entries SET body = x'' WHERE number = 40", true, at, at},
		"body of another":    {"UPDATE audit_entries SET body = (SELECT body FROM audit_entries WHERE number = 41) WHERE number = 40", true, at, at},
		"row gone":           {"DELETE FROM audit_entries WHERE number = 40", true, at, at},
		"run moved":          {"UPDATE log_runs SET number = number + 1 WHERE first = 0", true, 0, at},
		"run of another":     {"UPDATE log_runs SET replica = randomblob(16) WHERE first = 0", true, 0, at},
		"run cut":            {"UPDATE log_runs SET count = 40 WHERE first = 0", true, at, at},
		"run gone":           {"DELETE FROM log_runs WHERE first = 0", true, 0, at},
		"tile":               {"UPDATE log_tiles SET hashes = CAST(zeroblob(32) || substr(hashes, 33) AS BLOB) WHERE level = 0 AND tile = 0", false, -1, at},
		"tile gone":          {"DELETE FROM log_tiles WHERE level = 0 AND tile = 0", false, -1, at},
		"tile and body edit": {"UPDATE log_tiles SET hashes = CAST(substr(hashes, 1, 1280) || randomblob(32) || substr(hashes, 1313) AS BLOB) WHERE level = 0 AND tile = 0", false, -1, at},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			a := s.writer()
			l := s.ledger(nil)
			a.write(300)
			s.step(l)
			a.write(300)
			s.step(l)
			s.checkLog(l)
			s.edit(c.edit)

			var tampered *ledger.TamperedError
			var err error
			got := int64(0)
			for batch, e := range l.Read(t.Context(), 0, 0, false) {
				if err = e; err == nil {
					got += int64(len(batch.Entries))
				}
			}
			if !errors.As(err, &tampered) || tampered.Index != c.index || got != 0 {
				t.Errorf("read %d entries, error %v", got, err)
			}
			if _, err := l.EntryAt(t.Context(), c.entry); !errors.As(err, &tampered) {
				t.Errorf("entry %d: %v", c.entry, err)
			}
			proof, err := l.ProveEntry(t.Context(), at)
			if c.proven {
				if err != nil {
					t.Fatalf("proof: %v", err)
				}
				if _, err := proof.Verify(a.bodies[at], s.key.verifier); err != nil {
					t.Errorf("proof: %v", err)
				}
			} else if !errors.As(err, &tampered) {
				t.Errorf("proof from an edited tile: %v", err)
			}
			if s.alarms("audit log altered") == 0 {
				t.Error("no alarm")
			}
			if l.Err() != nil {
				t.Errorf("halted: %v", l.Err())
			}
		})
	}
}

func TestEntryWithAnEditedColumnIsNotShown(t *testing.T) {
	s := newSite(t)
	l := s.ledger(nil)
	s.writer().write(3)
	s.writer().commit(1, sealTail)
	s.step(l)
	s.edit("INSERT INTO tenants (id, name) VALUES (77, 'globex')")
	s.edit("UPDATE audit_entries SET tenant = 77 WHERE number = 2")
	index, err := l.IndexOf(t.Context(), s.writers[0].id, 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.EntryAt(t.Context(), index); !errors.Is(err, audit.ErrColumn) {
		t.Errorf("entry: %v", err)
	}
}

// misplacing is a store that finds each entry at the index after its own.
type misplacing struct{ ledger.Store }

func (m misplacing) IndexOf(ctx context.Context, replica uuid.UUID, number int64) (int64, bool, error) {
	index, ok, err := m.Store.IndexOf(ctx, replica, number)
	return index + 1, ok, err
}

func TestEntryOfAnotherIndexIsNotFound(t *testing.T) {
	s := newSite(t)
	for _, n := range []int{1, 1, 2, 2} {
		s.writer().write(n)
	}
	s.step(s.ledger(nil))
	l := s.ledger(func(c *ledger.Config) { c.Store = misplacing{c.Store} })
	for _, w := range s.writers {
		for number := range w.chain.Len() {
			index, err := l.IndexOf(t.Context(), w.id, number)
			if _, is := errors.AsType[*ledger.TamperedError](err); !is && !errors.Is(err, ledger.ErrNoEntry) {
				t.Errorf("index %d, %v", index, err)
			}
		}
	}
}

// TestUnsignedEntryOfAnotherIndexIsNotSigned: nor taken for what the store says.
func TestUnsignedEntryOfAnotherIndexIsNotSigned(t *testing.T) {
	s := newSite(t)
	f := &faults{}
	l := s.ledger(func(c *ledger.Config) { between(f, c) })
	s.writer().write(1)
	f.on(failing("Sign", 0), nil)
	_ = l.Step(t.Context())
	next := s.ledger(func(c *ledger.Config) { c.Store = misplacing{c.Store} })
	s.step(next)
	s.clock.Advance(3 * time.Second)
	s.halts(next, "extended by hand")
}

func TestLogOfAnotherNameHalts(t *testing.T) {
	s := newSite(t)
	s.writer().write(1)
	s.step(s.ledger(nil))
	s.halts(s.ledger(func(c *ledger.Config) { c.Origin = "other.example.com/audit" }), "not signed by the log's key")
}

// TestConsistencyIsNotProvenFromAnEditedTile: the edited tile decides.
func TestConsistencyIsNotProvenFromAnEditedTile(t *testing.T) {
	s := newSite(t)
	l := s.ledger(nil)
	s.writer().write(700)
	s.step(l)
	if _, err := l.ProveConsistency(t.Context(), 100, 600); err != nil {
		t.Fatal(err)
	}
	s.edit("UPDATE log_tiles SET hashes = CAST(zeroblob(32) || substr(hashes, 33) AS BLOB) WHERE level = 0 AND tile = 0")
	_, err := l.ProveConsistency(t.Context(), 100, 600)
	if _, is := errors.AsType[*ledger.TamperedError](err); !is {
		t.Errorf("proof: %v", err)
	}
}

// TestLogExtendedByHandIsNotSigned writes entries into the log's tables as a
// sequencer would, without a replica's seal. Whoever leads next finds them.
func TestLogExtendedByHandIsNotSigned(t *testing.T) {
	for name, forge := range map[string]func(s *site) *writer{
		"no tail":   func(s *site) *writer { w := s.writer(); w.commit(3, noTail); return w },
		"no seal":   func(s *site) *writer { w := s.writer(); w.commit(3, noSeal); return w },
		"bad seal":  func(s *site) *writer { w := s.writer(); w.commit(3, badSeal); return w },
		"the tail":  func(s *site) *writer { w := s.writers[0]; w.commit(3, noTail); return w },
		"new tail":  func(s *site) *writer { w := s.writers[0]; w.commit(3, badSeal); return w },
		"edited":    func(s *site) *writer { w := s.writer(); w.write(3); s.editBody(w, 1); return w },
		"last edit": func(s *site) *writer { w := s.writer(); w.write(3); s.editBody(w, 2); return w },
		"repeated":  func(s *site) *writer { return s.writers[0] },
	} {
		t.Run(name, func(t *testing.T) {
			for _, known := range []bool{false, true} {
				t.Run(fmt.Sprintf("under the leader %v", known), func(t *testing.T) {
					s := newSite(t)
					s.writer().write(300)
					l := s.ledger(nil)
					s.step(l)
					signed := len(s.key.signed)
					w := forge(s)
					next := l
					if !known {
						next = s.ledger(nil)
						s.step(next)
					}
					s.forge(w)
					s.clock.Advance(3 * time.Second)
					s.halts(next, "extended by hand")
					if len(s.key.signed) != signed {
						t.Error("it was signed")
					}
				})
			}
		})
	}
}

func TestLogExtendedByHandIsNotSignedWhileSealsCannotBeVerified(t *testing.T) {
	s := newSite(t)
	s.writer().write(300)
	l := s.ledger(nil)
	s.step(l)
	signed := len(s.key.signed)
	w := s.writer()
	w.commit(3, badSeal)
	s.forge(w)
	down := true
	next := s.ledger(func(c *ledger.Config) {
		c.Verify = func(ctx context.Context, tail audit.Tail) error {
			if down {
				return keyring.ErrUnavailable
			}
			return verifySeal(ctx, tail)
		}
	})
	s.step(next)
	s.clock.Advance(3 * time.Second)
	if err := next.Step(t.Context()); !errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("step: %v", err)
	}
	if next.Err() != nil || len(s.key.signed) != signed {
		t.Errorf("halted: %v, signed %d", next.Err(), len(s.key.signed)-signed)
	}
	down = false
	s.halts(next, "extended by hand")
}

// TestLeafPutInByHandIsNotSigned: the entries are those of a sealed chain, and the
// tree has another.
func TestLeafPutInByHandIsNotSigned(t *testing.T) {
	s := newSite(t)
	s.writer().write(300)
	l := s.ledger(nil)
	s.step(l)
	w := s.writer()
	w.write(3)
	s.forge(w)
	s.edit("UPDATE log_tiles SET hashes = CAST(substr(hashes, 1, length(hashes) - 32) || randomblob(32) AS BLOB) WHERE level = 0 AND tile = 1")
	s.clock.Advance(time.Second)
	s.halts(l, "extended by hand")
	if len(s.key.signed) != 1 {
		t.Error("it was signed")
	}
}

// editBody edits an entry and its columns' hashes alike.
func (s *site) editBody(w *writer, number int64) {
	s.t.Helper()
	s.edit("UPDATE audit_entries SET body = CAST(replace(body, 'Test', 'Text') AS BLOB) WHERE replica = ? AND number = ?", w.id[:], number)
}

// forge puts the last three entries of a chain into the log, with the means of
// somebody who can write to the database.
func (s *site) forge(w *writer) {
	s.t.Helper()
	t := s.t
	ctx := context.Background()
	head := s.head()
	from := w.chain.Len() - 3
	records, err := s.store.ChainRecords(ctx, w.id, from, 3)
	if err != nil || len(records) != 3 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	tree := []tlog.Tile{
		{H: 8, L: 0, N: head.Size >> 8, W: int(head.Size) & 0xff}, // never empty here
	}
	tiles, err := s.store.Tiles(ctx, tree)
	if err != nil {
		t.Fatal(err)
	}
	hashes := tiles[0]
	for _, r := range records {
		leaf := audit.LeafHash(r.Body)
		hashes = append(hashes, leaf[:]...)
	}
	s.edit("UPDATE log_tiles SET hashes = ? WHERE level = 0 AND tile = ?", hashes, head.Size>>8)
	s.edit("UPDATE log_head SET size = size + 3")
	s.edit("INSERT INTO log_runs (first, replica, number, count) VALUES (?, ?, ?, 3)", head.Size, w.id[:], from)
	s.edit("INSERT INTO log_chains (replica, next, head) VALUES (?1, ?2, ?3) ON CONFLICT (replica) DO UPDATE SET next = ?2",
		w.id[:], from+3, hashes[len(hashes)-32:])
}

// TestChainThatIsHiddenIsReported moves where the log has a chain beyond its tail, so
// that what the replica writes next seems to be in the log.
func TestChainThatIsHiddenIsReported(t *testing.T) {
	for name, edit := range map[string]string{
		"place":    "UPDATE log_chains SET next = 9",
		"old tail": "UPDATE audit_chains SET number = 1",
	} {
		t.Run(name, func(t *testing.T) {
			for _, known := range []bool{false, true} {
				s := newSite(t)
				w := s.writer()
				l := s.ledger(nil)
				w.write(3)
				s.step(l)
				s.edit(edit)
				if !known {
					l = s.ledger(nil)
					s.step(l)
					s.clock.Advance(3 * time.Second)
				}
				s.step(l)
				if s.alarms("chain refused") != 1 {
					t.Errorf("under a leader that knew it %v: %d alarms", known, s.alarms("chain refused"))
				}
			}
		})
	}
}

// TestTermOfNobodyIsReported: a store that refuses every write must not look like one
// where another leads.
func TestTermOfNobodyIsReported(t *testing.T) {
	s := newSite(t)
	w := s.writer()
	l := s.ledger(nil)
	w.write(3)
	s.step(l)
	s.edit("UPDATE log_head SET term = -9")
	w.write(1)
	for range 5 {
		_ = l.Step(t.Context())
	}
	if s.alarms("audit log stalled") != 1 {
		t.Errorf("%d alarms", s.alarms("audit log stalled"))
	}
}
