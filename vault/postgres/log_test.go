package postgres_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
	"github.com/cardvault/cardvault/vault/postgres"
	"github.com/cardvault/cardvault/vault/vaulttest/pgtest"
)

// seal commits n entries with the tail of the chain.
func (w *writer) seal(t testing.TB, n int) {
	t.Helper()
	records := make([]audit.Record, n)
	for i := range records {
		w.chain, records[i] = w.next()
	}
	err := w.store.Commit(t.Context(), func(_ context.Context, tx vault.Tx) ([]audit.Record, error) {
		tx.SealChain(audit.Tail{
			Replica: w.id, Number: w.chain.Len() - 1, Head: w.chain.Head(), Seal: audit.Hash{1},
			KEKKind: "transit", Key: make([]byte, 100),
		})
		return records, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// lead takes the lease and returns the log's head.
func lead(t testing.TB, store ledger.Store) ledger.Head {
	t.Helper()
	was, err := store.LogHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	head, took, err := store.TakeLease(t.Context(), was, uuid.New())
	if err != nil || !took {
		t.Fatalf("took the lease: %v, error %v", took, err)
	}
	return head
}

// step is an extension by n entries of a chain, with as many tiles as it changes.
func (w *writer) step(size int64, n int) ledger.Extension {
	x := ledger.Extension{Size: size, Runs: []ledger.Run{
		{First: size, Replica: w.id, Number: w.chain.Len() - int64(n), Count: n, Head: w.chain.Head()},
	}}
	for i := size / audit.TileWidth; i*audit.TileWidth < size+int64(n); i++ {
		width := min(size+int64(n)-i*audit.TileWidth, audit.TileWidth)
		x.Tiles = append(x.Tiles, ledger.Tile{Index: i, Hashes: make([]byte, width*tlog.HashSize)})
	}
	return x
}

// A commit of entries alone is one statement, with its chain's tail in it.
func TestSealedCommitIsOneStatement(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Start(t)
	w := newWriter(openWith(t, postgres.Config{ConnString: migrated(t, cluster.DSN(t)) + "&log_statement=all", MaxConns: 1}))
	w.seal(t, 1)
	log := filepath.Join(cluster.Dir(), "log")
	before, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	w.seal(t, 3)
	after, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	said := string(after[len(before):])
	if n := strings.Count(said, "LOG:  "); n != 1 || !strings.Contains(said, "INSERT INTO audit_entries") {
		t.Errorf("%d statements, want one:\n%s", n, said)
	}
}

// A write of the log is cut at every few bytes of what is sent, and of the answers.
// Whatever the store then says is true, and the log is whole.
func TestConnectionCutWhileWritingTheLog(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]logWrite{
		"lease": {
			func(ctx context.Context, s *postgres.Store, head ledger.Head, _ *writer) error {
				_, took, err := s.TakeLease(ctx, head, uuid.New())
				if err == nil && !took {
					err = ledger.ErrFenced
				}
				return err
			},
			func(was, is ledger.Head) bool { return is.Term > was.Term },
		},
		"renewal": {
			func(ctx context.Context, s *postgres.Store, head ledger.Head, _ *writer) error {
				return s.RenewLease(ctx, head.Term)
			},
			func(was, is ledger.Head) bool { return is.Beat > was.Beat },
		},
		"checkpoint": {
			func(ctx context.Context, s *postgres.Store, head ledger.Head, _ *writer) error {
				return s.Publish(ctx, head.Term, []byte("checkpoint"))
			},
			func(_, is ledger.Head) bool { return is.Checkpoint != nil },
		},
		"extension": {
			func(ctx context.Context, s *postgres.Store, head ledger.Head, w *writer) error {
				x := w.step(head.Size, 2)
				x.Tiles = []ledger.Tile{{Hashes: make([]byte, 2*tlog.HashSize)}} // as large each time
				return s.ExtendLog(ctx, head.Term, x)
			},
			func(was, is ledger.Head) bool { return is.Size > was.Size },
		},
		"drop": {
			func(ctx context.Context, s *postgres.Store, head ledger.Head, _ *writer) error {
				_, err := s.DropEntries(ctx, head.Term, head.Size, 1)
				return err
			},
			func(was, is ledger.Head) bool { return is.First > was.First },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			write.cutEverywhere(t, migrated(t, pgtest.DSN(t)))
		})
	}
}

// logWrite is a write of the log, and whether it was done between two heads.
type logWrite struct {
	write func(ctx context.Context, s *postgres.Store, head ledger.Head, w *writer) error
	done  func(was, is ledger.Head) bool
}

func (w logWrite) cutEverywhere(t *testing.T, dsn string) {
	t.Helper()
	direct, p := open(t, dsn), newProxy(t, dsn)
	store := openWith(t, postgres.Config{ConnString: p.dsn, MaxConns: 1})
	for side, at := range map[string]func(n int) cut{
		"request": func(n int) cut { return cut{request: n, answer: -1} },
		"answer":  func(n int) cut { return cut{request: -1, answer: n} },
	} {
		seen := map[bool]int{}
		for n := 0; ; n += 29 {
			landed, whole := w.cutAt(t, direct, store, p, at(n))
			if whole {
				break
			}
			seen[landed]++
		}
		if want := side == "answer"; seen[want] == 0 {
			t.Errorf("%s: outcomes by landed: %v, want some that are %v", side, seen, want)
		}
	}
}

// cutAt writes over a connection that is cut on the way. It returns whether that
// landed all the same, and whether it went through before the cut.
func (w logWrite) cutAt(t *testing.T, direct, store *postgres.Store, p *proxy, at cut) (landed, whole bool) {
	t.Helper()
	was := settle(t, direct)
	if err := direct.Publish(t.Context(), was.Term, nil); err != nil {
		t.Fatal(err)
	}
	was.Checkpoint = nil
	chain := newWriter(direct)
	chain.seal(t, 2)
	if err := direct.ExtendLog(t.Context(), was.Term, chain.step(was.Size, 2)); err != nil {
		t.Fatal(err)
	}
	chain.seal(t, 2)
	was, err := direct.LogHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fenced := was
	fenced.Term = -1
	if err := w.write(t.Context(), store, fenced, chain); !errors.Is(err, ledger.ErrFenced) {
		t.Fatalf("write that warms the connection: %v", err)
	}

	p.cutAt(at)
	err = w.write(t.Context(), store, was, chain)
	p.heal()
	is := settle(t, direct)
	is.Term, is.Beat = is.Term-1, is.Beat-1 // those of settle itself
	landed = w.done(was, is)
	if err == nil && !landed || err != nil && landed && !errors.Is(err, vault.ErrUnknownOutcome) {
		t.Fatalf("cut at %+v: landed: %v, error %v", at, landed, err)
	}
	entries, listErr := direct.ListLog(t.Context(), is.First, 1_000_000)
	if listErr != nil || int64(len(entries)) != is.Size-is.First {
		t.Fatalf("%d entries from %d to %d, error %v", len(entries), is.First, is.Size, listErr)
	}
	for i := range entries {
		if entries[i].Record.Body == nil {
			t.Fatalf("entry %d is gone, first is %d", entries[i].Index, is.First)
		}
	}
	return landed, err == nil
}

// settle ends every term there was: what is still on its way lands before it, or
// not at all.
func settle(t *testing.T, store *postgres.Store) ledger.Head {
	t.Helper()
	for {
		was, err := store.LogHead(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		head, took, err := store.TakeLease(t.Context(), was, uuid.New())
		if err != nil {
			t.Fatal(err)
		}
		if took {
			return head
		}
	}
}

// Rows that this package cannot have written are refused, never bent into shape.
func TestRowsOfTheLogOfAnotherShapeAreRefused(t *testing.T) {
	t.Parallel()
	dsn := migrated(t, pgtest.DSN(t))
	store, conn := open(t, dsn), connect(t, dsn)
	newWriter(store).seal(t, 1)
	for _, column := range []string{"head", "seal"} {
		if _, err := conn.Exec(t.Context(), "UPDATE audit_chains SET "+column+" = substr(sha256('1'), 1, 31)"); err != nil {
			t.Fatal(err)
		}
		if got, err := store.ListGrown(t.Context(), 10); err == nil {
			t.Errorf("a %s of 31 bytes was read as %+v", column, got)
		}
		if _, err := conn.Exec(t.Context(), "UPDATE audit_chains SET "+column+" = NULL"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.Exec(t.Context(), "DELETE FROM log_head"); err != nil {
		t.Fatal(err)
	}
	if head, err := store.LogHead(t.Context()); err == nil || errors.Is(err, vault.ErrNoRow) {
		t.Errorf("a log without its row was read as %+v, error %v", head, err)
	}
}

// A database with entries from before the log gets a tail for each chain, without a
// seal.
func TestMigrateGivesOldChainsATail(t *testing.T) {
	t.Parallel()
	dsn := migrated(t, pgtest.DSN(t))
	first, second := newWriter(open(t, dsn)), newWriter(open(t, dsn))
	for range 3 {
		if err := first.commit(t.Context(), nil, func() {}); err != nil {
			t.Fatal(err)
		}
	}
	if err := second.commit(t.Context(), nil, func() {}); err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, dsn).Exec(t.Context(), `
		DROP TABLE audit_chains, log_chains, log_head, log_runs, log_tiles;
		DELETE FROM goose_db_version WHERE version_id = 2`); err != nil {
		t.Fatal(err)
	}
	if from, to, err := postgres.Migrate(t.Context(), dsn); err != nil || from != 1 || to != postgres.SchemaVersion {
		t.Fatalf("Migrate = %d, %d, %v", from, to, err)
	}
	grown, err := open(t, dsn).ListGrown(t.Context(), 10)
	if err != nil || len(grown) != 2 {
		t.Fatalf("%d chains, error %v, want 2", len(grown), err)
	}
	numbers := map[uuid.UUID]int64{first.id: 2, second.id: 0}
	for _, g := range grown {
		number := numbers[g.Tail.Replica]
		if tail := g.Tail; tail.Number != number || tail.Head != (audit.Hash{}) || tail.Seal != (audit.Hash{}) ||
			tail.Key != nil || tail.KEKKind != "" || g.Next != 0 {
			t.Errorf("chain %+v, want one that ends at %d without a seal", g, number)
		}
	}
}
