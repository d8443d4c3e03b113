package sqlite_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
	"github.com/cardvault/cardvault/vault/vaulttest"
)

// logged makes a log of n entries and returns it with its head and their bodies.
func logged(t testing.TB, path string, n int) (store vaulttest.Store, head ledger.Head, bodies [][]byte) {
	t.Helper()
	store = open(t, path)
	chain := audit.NewChain(uuid.New())
	var records []audit.Record
	for range n {
		var record audit.Record
		chain, record = chain.Append(audit.Entry{Tenant: "acme", Card: uuid.New()}, epoch())
		records, bodies = append(records, record), append(bodies, record.Body)
	}
	id := records[0].Replica
	err := store.Commit(t.Context(), func(_ context.Context, tx vault.Tx) ([]audit.Record, error) {
		tx.SealChain(audit.Tail{Replica: id, Number: chain.Len() - 1, Head: chain.Head(), Seal: audit.Hash{1}})
		return records, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	head, _, err = store.TakeLease(t.Context(), ledger.Head{}, uuid.New())
	if err == nil {
		err = store.ExtendLog(t.Context(), head.Term, ledger.Extension{
			Runs: []ledger.Run{{Replica: id, Count: n, Head: chain.Head()}},
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return store, head, bodies
}

// An entry that retention dropped is in no file any more.
func TestDroppedEntriesLeaveNoTrace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, head, bodies := logged(t, filepath.Join(dir, "vault.db"), 200)
	if n := traces(t, dir, bodies); n < len(bodies)*9/10 { // a body may lie across pages
		t.Fatalf("%d of %d bodies are found before they are dropped", n, len(bodies))
	}
	if _, err := store.DropEntries(t.Context(), head.Term, 150, 1000); err != nil {
		t.Fatal(err)
	}
	if n := traces(t, dir, bodies[:150]); n != 0 {
		t.Errorf("%d bodies are left after their entries were dropped", n)
	}
	if n := traces(t, dir, bodies[150:]); n == 0 {
		t.Error("entries that were not dropped are gone")
	}
}

// Rows that this package cannot have written are refused, never bent into shape.
func TestRowsOfTheLogOfAnotherShapeAreRefused(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		change string
		read   func(ctx context.Context, store ledger.Store) error
	}{
		"a tail's head of 31 bytes": {"UPDATE audit_chains SET number = 9, head = zeroblob(31)", listGrown},
		"a seal of 33 bytes":        {"UPDATE audit_chains SET number = 9, seal = zeroblob(33)", listGrown},
		"a hash of nothing":         {"UPDATE audit_chains SET number = 9; UPDATE log_chains SET head = zeroblob(0)", listGrown},
		"a holder of 15 bytes":      {"UPDATE log_head SET holder = zeroblob(15)", logHead},
		"no head at all":            {"DELETE FROM log_head", logHead},
	} {
		path := filepath.Join(t.TempDir(), "vault.db")
		store, _, _ := logged(t, path, 2)
		if err := c.read(t.Context(), store); err != nil {
			t.Fatal(err)
		}
		raw(t, path, c.change)
		if err := c.read(t.Context(), store); err == nil || errors.Is(err, vault.ErrNoRow) {
			t.Errorf("%s: error %v, want a refusal", what, err)
		}
	}
}

func listGrown(ctx context.Context, store ledger.Store) error {
	_, err := store.ListGrown(ctx, 10)
	return err
}

func logHead(ctx context.Context, store ledger.Store) error {
	_, err := store.LogHead(ctx)
	return err
}

// A file with entries from before the log gets a tail for each chain, without a seal.
func TestOpenGivesOldChainsATail(t *testing.T) {
	t.Parallel()
	first, err := os.ReadFile("migrations/0001_vault.sql")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "vault.db")
	raw(t, path, string(first)+`
		INSERT INTO audit_entries (replica, number, time, tenant, body)
		VALUES (zeroblob(16), 0, 1, 0, x'00'), (zeroblob(16), 1, 1, 0, x'00'), (x'000102030405060708090a0b0c0d0e0f', 0, 1, 0, x'00');
		PRAGMA application_id = 0x63766c74;
		PRAGMA user_version = 1`)
	store := open(t, path)
	grown, err := store.ListGrown(t.Context(), 10)
	if err != nil || len(grown) != 2 {
		t.Fatalf("%d chains, error %v, want 2", len(grown), err)
	}
	for _, g := range grown {
		number := int64(1)
		if g.Tail.Replica != uuid.Nil {
			number = 0
		}
		if tail := g.Tail; tail.Number != number || tail.Head != (audit.Hash{}) || tail.Seal != (audit.Hash{}) ||
			tail.Key != nil || tail.KEKKind != "" || g.Next != 0 {
			t.Errorf("chain %+v, want one that ends at %d without a seal", g, number)
		}
	}
}
