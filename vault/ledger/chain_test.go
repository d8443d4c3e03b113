package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
	"github.com/cardvault/cardvault/vault/vaulttest"
)

// TestChainsNotAsSealedAreRefused: they are left out, with one alarm; the others go
// on.
func TestChainsNotAsSealedAreRefused(t *testing.T) {
	for name, forge := range map[string]func(s *site, w *writer){
		"no seal":  func(_ *site, w *writer) { w.commit(3, noSeal) },
		"bad seal": func(_ *site, w *writer) { w.commit(3, badSeal) },
		"tail of other entries": func(_ *site, w *writer) {
			w.commit(3, func(t audit.Tail) (audit.Tail, bool) {
				t.Head[0] ^= 1
				return sealTail(t)
			})
		},
		"tail ahead of its entries": func(_ *site, w *writer) {
			w.commit(3, func(t audit.Tail) (audit.Tail, bool) {
				t.Number++
				return sealTail(t)
			})
		},
		"tail moved by hand": func(s *site, w *writer) {
			w.write(3)
			s.edit("UPDATE audit_chains SET number = number - 1 WHERE replica = ?", w.id[:])
		},
		"seal taken off": func(s *site, w *writer) {
			w.write(3)
			s.edit("UPDATE audit_chains SET seal = NULL, head = NULL, wrapped = NULL WHERE replica = ?", w.id[:])
		},
		"entry edited": func(s *site, w *writer) { w.write(3); s.editBody(w, w.chain.Len()-2) },
		"first edited": func(s *site, w *writer) { w.write(3); s.editBody(w, w.chain.Len()-3) },
		"last edited":  func(s *site, w *writer) { w.write(3); s.editBody(w, w.chain.Len()-1) },
		"entry gone":   func(s *site, w *writer) { w.write(3); s.deleteEntry(w, w.chain.Len()-2) },
		"first gone":   func(s *site, w *writer) { w.write(3); s.deleteEntry(w, w.chain.Len()-3) },
		"last gone":    func(s *site, w *writer) { w.write(3); s.deleteEntry(w, w.chain.Len()-1) },
		"column edited": func(s *site, w *writer) {
			w.write(3)
			s.edit("UPDATE audit_entries SET time = time - 1 WHERE replica = ?", w.id[:])
		},
		"body no entry": func(s *site, w *writer) {
			w.write(3)
			s.edit("UPDATE audit_entries SET body = x'7b7d' WHERE replica = ? AND number = ?", w.id[:], w.chain.Len()-1)
		},
		"place ahead":      func(s *site, w *writer) { w.write(3); s.move(w, w.chain.Len()-1) },
		"place behind":     func(s *site, w *writer) { w.write(3); s.move(w, max(0, w.chain.Len()-4)) },
		"place of another": func(s *site, w *writer) { w.write(3); s.move(w, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			// A chain that is new, one that this sequencer has in the log, and one that
			// another has put there.
			for _, when := range []string{"new", "grown", "grown under another"} {
				if when == "new" && name == "place behind" {
					continue // there is nothing behind
				}
				t.Run(when, func(t *testing.T) {
					s := newSite(t)
					a, w := s.writer(), s.writer()
					l := s.ledger(nil)
					a.write(5)
					if when != "new" {
						w.write(4)
					}
					s.step(l)
					if when == "grown under another" {
						l = s.ledger(nil)
						s.takeOver(l)
					}
					size, kept := s.head().Size, len(w.bodies)
					forge(s, w)
					a.write(7)
					for range 3 {
						s.step(l)
						s.clock.Advance(250 * time.Millisecond)
					}
					if got := s.head().Size; got != size+7 {
						t.Fatalf("%d entries, want %d", got, size+7)
					}
					if s.alarms("chain refused") != 1 {
						t.Errorf("%d alarms", s.alarms("chain refused"))
					}
					w.bodies = w.bodies[:kept]
					s.clock.Advance(2 * time.Minute)
					s.step(l) // it is looked at again, and says nothing new
					if s.alarms("chain refused") != 1 {
						t.Errorf("%d alarms later", s.alarms("chain refused"))
					}
					s.checkLog(l)
				})
			}
		})
	}
}

func (s *site) deleteEntry(w *writer, number int64) {
	s.t.Helper()
	s.edit("DELETE FROM audit_entries WHERE replica = ? AND number = ?", w.id[:], number)
}

// move edits where the log's table says it has the chain, with the hash that fits.
func (s *site) move(w *writer, next int64) {
	s.t.Helper()
	prev := make([]byte, 32)
	if next > 0 {
		leaf := audit.LeafHash(w.bodies[next-1])
		prev = leaf[:]
	}
	s.edit("INSERT INTO log_chains (replica, next, head) VALUES (?1, ?2, ?3) ON CONFLICT (replica) DO UPDATE SET next = ?2, head = ?3",
		w.id[:], next, prev)
}

// TestChainWithAnEditedRunLeavesNothingOut: two tables say that the log has entries
// which it has not, and the tree knows better.
func TestChainWithAnEditedRunLeavesNothingOut(t *testing.T) {
	s := newSite(t)
	a, w := s.writer(), s.writer()
	a.write(5)
	w.write(4)
	s.step(s.ledger(nil))
	w.write(3)
	s.move(w, 6)
	s.edit("UPDATE log_runs SET count = 6 WHERE replica = ?", w.id[:])
	s.takeOver(s.ledger(nil))
	if s.head().Size != 9 || s.alarms("chain refused") != 1 {
		t.Errorf("%d entries, %d alarms", s.head().Size, s.alarms("chain refused"))
	}
}

// TestRefusedChainComesBack: an operator puts the edited entry right.
func TestRefusedChainComesBack(t *testing.T) {
	s := newSite(t)
	w := s.writer()
	l := s.ledger(nil)
	s.writer().write(1)
	s.step(l)
	w.write(3)
	s.edit("UPDATE audit_entries SET body = CAST(replace(body, 'Test', 'Text') AS BLOB) WHERE replica = ?", w.id[:])
	s.step(l)
	s.edit("UPDATE audit_entries SET body = CAST(replace(body, 'Text', 'Test') AS BLOB) WHERE replica = ?", w.id[:])
	s.step(l)
	if s.head().Size != 1 {
		t.Error("it was looked at again at once")
	}
	s.clock.Advance(time.Minute)
	s.step(l)
	s.checkLog(l)
}

func TestEntriesBehindTheTailWait(t *testing.T) {
	s := newSite(t)
	w := s.writer()
	l := s.ledger(nil)
	w.write(3)
	w.commit(2, noTail)
	s.step(l)
	if s.head().Size != 3 {
		t.Errorf("%d entries", s.head().Size)
	}
	w.write(1)
	s.step(l)
	s.checkLog(l)
}

// TestChainsWithoutSealComeFirstOrNever: chains from before there were seals are
// the beginning of the log, all of them, and nothing without a seal comes later.
func TestChainsWithoutSealComeFirstOrNever(t *testing.T) {
	all := newSite(t)
	all.writer().write(2)
	for range 3 {
		all.writer().commit(6000, noSeal) // together more than a batch
	}
	for _, dies := range []bool{false, true} {
		t.Run(fmt.Sprintf("dies %v", dies), func(t *testing.T) {
			s := all.backup(t)
			s.log = &vaulttest.LogBuffer{}
			f := &faults{}
			l := s.ledger(func(c *ledger.Config) { between(f, c) })
			if dies {
				// Nobody has signed them, and the next takes them as they are.
				f.on(failing("Publish", 0), nil)
				if err := l.Step(t.Context()); !errors.Is(err, errInjected) {
					t.Fatal(err)
				}
				l = s.ledger(nil)
				s.takeOver(l)
			} else {
				s.step(l)
				if f.count("ExtendLog") > 2 {
					t.Errorf("%d extensions", f.count("ExtendLog"))
				}
			}
			s.checkLog(l)
			first, err := l.EntryAt(t.Context(), 18_000-1)
			if err != nil || first.Record.Replica == s.writers[0].id {
				t.Errorf("entry before the sealed ones: %+v, %v", first.Record.Replica, err)
			}
			w := s.writer()
			w.commit(1, noSeal)
			s.step(l)
			w.bodies = nil
			s.checkLog(l)
			if s.alarms("chain refused") != 1 {
				t.Errorf("%d alarms", s.alarms("chain refused"))
			}
		})
	}
}

// TestChainWaitsForItsSeal: while seals cannot be verified nothing is taken, nothing
// refused, and those that can be go on.
func TestChainWaitsForItsSeal(t *testing.T) {
	s := newSite(t)
	a, b := s.writer(), s.writer()
	down := keyring.ErrUnavailable
	l := s.ledger(func(c *ledger.Config) {
		c.Verify = func(ctx context.Context, tail audit.Tail) error {
			if down != nil && tail.Replica == a.id {
				return down
			}
			return verifySeal(ctx, tail)
		}
	})
	a.write(3)
	b.write(2)
	for range 10 {
		if err := l.Step(t.Context()); !errors.Is(err, keyring.ErrUnavailable) {
			t.Fatalf("step: %v", err)
		}
	}
	if _, c, err := l.Checkpoint(t.Context()); c.Size != 2 {
		t.Errorf("checkpoint of %d, %v", c.Size, err)
	}
	if s.alarms("chain refused") != 0 || s.alarms("audit log stalled") != 1 {
		t.Errorf("%d refused, %d stalled", s.alarms("chain refused"), s.alarms("audit log stalled"))
	}
	down = nil
	s.step(l)
	s.checkLog(l)
}

// TestLongChain: it does not fit one extension, and is verified to its end before
// any of it is taken.
func TestLongChain(t *testing.T) {
	all := newSite(t)
	all.writer().write(1)
	for range 5 {
		all.writers[0].write(4000)
	}
	f := &faults{}
	start := func(t *testing.T) (s *site, l *ledger.Ledger) {
		t.Helper()
		s, f = all.backup(t), &faults{}
		s.log = &vaulttest.LogBuffer{}
		return s, s.ledger(func(c *ledger.Config) { between(f, c) })
	}
	t.Run("is read twice at most", func(t *testing.T) {
		s, l := start(t)
		s.step(l)
		s.checkLog(l)
		if n := f.count("ExtendLog"); n != 2 {
			t.Errorf("%d extensions", n)
		}
		if n := f.count("ChainRecords"); n > 20_000/1024+4_000/1024+4 {
			t.Errorf("%d pages read", n)
		}
	})
	t.Run("keeps no other from the log", func(t *testing.T) {
		s, l := start(t)
		for range 5 {
			s.writer().write(3)
		}
		f.on(nil, failing("ExtendLog", 1))
		if err := l.Step(t.Context()); !errors.Is(err, errInjected) {
			t.Fatal(err)
		}
		s.step(l)
		s.checkLog(l)
		for _, short := range s.writers[1:] {
			if index, err := l.IndexOf(t.Context(), short.id, 2); err != nil || index >= 15 {
				t.Errorf("a short chain ends at %d, %v", index, err)
			}
		}
	})
	t.Run("edited at its end", func(t *testing.T) {
		s, l := start(t)
		s.editBody(s.writers[0], 20_000)
		s.step(l)
		if s.head().Size != 0 || s.alarms("chain refused") != 1 {
			t.Errorf("%d entries, %d alarms", s.head().Size, s.alarms("chain refused"))
		}
	})
	t.Run("edited behind a waypoint", func(t *testing.T) {
		s, l := start(t)
		f.on(nil, func(call string) error {
			if call == "ExtendLog" && s.head().Size == 16384 {
				s.editBody(s.writers[0], 17_000)
			}
			return nil
		})
		s.step(l)
		if size := s.head().Size; size != 16384 || s.alarms("chain refused") != 1 {
			t.Errorf("%d entries, %d alarms", size, s.alarms("chain refused"))
		}
	})
	t.Run("written anew behind a waypoint", func(t *testing.T) {
		s, l := start(t)
		f.on(nil, func(call string) error {
			if call == "ExtendLog" && s.head().Size == 16384 {
				s.rewrite(s.writers[0], 17_000)
			}
			return nil
		})
		s.step(l)
		if size := s.head().Size; size != 16384 || s.alarms("chain refused") != 1 {
			t.Errorf("%d entries, %d alarms", size, s.alarms("chain refused"))
		}
	})
}

// rewrite replaces the entries of a chain from a number on by others that link to
// each other as well.
func (s *site) rewrite(w *writer, number int64) {
	s.t.Helper()
	records, err := s.store.ChainRecords(context.Background(), w.id, number-1, 1)
	if err != nil {
		s.t.Fatal(err)
	}
	chain, err := audit.ResumeChain(records[0])
	if err != nil {
		s.t.Fatal(err)
	}
	s.editing(func(conn *sqlite.Conn) (err error) {
		defer sqlitex.Transaction(conn)(&err)
		for err == nil && chain.Len() < w.chain.Len() {
			var r audit.Record
			chain, r = chain.Append(audit.Entry{Tenant: "acme", Action: "Forged"}, s.clock.Now())
			err = sqlitex.Execute(conn, "UPDATE audit_entries SET body = ? WHERE replica = ? AND number = ?",
				&sqlitex.ExecOptions{Args: []any{r.Body, w.id[:], r.Number}})
		}
		return err
	})
}
