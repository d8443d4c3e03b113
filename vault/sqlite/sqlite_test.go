package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	zsqlite "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/sqlite"
)

func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "vault.db")
	w := newWriter(open(t, path))
	w.must(t, w.insert(newCard()))
	for _, file := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %#o, want 0600", filepath.Base(file), mode)
		}
	}
}

func TestOpenRefusesAFileThatOthersReach(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "vault.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := sqlite.Open(t.Context(), path)
		if err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %#o: error %v, want one that says chmod 600", mode, err)
		}
	}
}

// raw runs SQL on the file as a stranger would.
func raw(t testing.TB, path, script string) {
	t.Helper()
	conn, err := zsqlite.OpenConn(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sqlitex.ExecuteScript(conn, script, nil), conn.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesANewerSchema(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "vault.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	raw(t, path, "PRAGMA user_version = 99")
	_, err := sqlite.Open(t.Context(), path)
	schema, ok := errors.AsType[*sqlite.SchemaError](err)
	if !ok || schema.Found != 99 || schema.Known != sqlite.SchemaVersion || !strings.Contains(err.Error(), "newer program") {
		t.Errorf("error %v, want a SchemaError that found 99 and names the next step", err)
	}
}

func TestOpenRefusesAnotherProgramsFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "other.db")
	raw(t, path, "CREATE TABLE cards (mine TEXT)")
	if _, err := sqlite.Open(t.Context(), path); err == nil {
		t.Error("a file of another program was taken for a vault")
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, bytes.Repeat([]byte("no database\n"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), text); err == nil {
		t.Error("a text file was taken for a vault")
	}
	if _, err := sqlite.Open(t.Context(), filepath.Join(text, "vault.db")); err == nil {
		t.Error("a folder that is none was taken")
	}
}

func TestOpenTogether(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "vault.db")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			store, err := sqlite.Open(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(store.Ping(t.Context()), store.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// Rows that this package cannot have written are refused, never bent into shape.
func TestRowsOfAnotherShapeAreRefused(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]string{
		"a state beyond 16 bits": "UPDATE cards SET state = 65537",
		"an id of 15 bytes":      "UPDATE cards SET fingerprint = zeroblob(15)",
		"a key of 17 bytes":      "UPDATE cards SET data_key = zeroblob(17)",
		"a range beyond 32 bits": "UPDATE cards SET range_number = 4294967297",
	} {
		path := filepath.Join(t.TempDir(), "vault.db")
		store := open(t, path)
		w, card := newWriter(store), newCard()
		w.must(t, w.insert(card))
		raw(t, path, change)
		if got, err := store.Card(t.Context(), "acme", card.ID); err == nil || errors.Is(err, vault.ErrNoRow) {
			t.Errorf("%s was read as %+v, error %v", what, got, err)
		}
	}
}

// A deleted card's ciphertext is in no file any more: not in the table, not in a
// free page, not in the write-ahead log.
func TestDeletionLeavesNoTrace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := newWriter(open(t, filepath.Join(dir, "vault.db")))
	var secrets [][]byte
	var cards []vault.CardRow
	for range 300 {
		card := newCard()
		cards, secrets = append(cards, card), append(secrets, card.Sealed)
	}
	w.must(t, w.insert(cards...))
	if n := traces(t, dir, secrets); n != len(secrets) {
		t.Fatalf("%d of %d ciphertexts are found before they are deleted", n, len(secrets))
	}
	w.must(t, w.delete(cards...))
	if n := traces(t, dir, secrets); n != 0 {
		t.Errorf("%d ciphertexts are left after their cards were deleted", n)
	}
}

// A read under way keeps the log; the next commit after it empties it.
func TestDeletionBesideAReadLeavesNoTraceInTheEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "vault.db")
	w, card := newWriter(open(t, path)), newCard()
	w.must(t, w.insert(card))
	reader, err := zsqlite.OpenConn(path, zsqlite.OpenReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	end := sqlitex.Transaction(reader)
	if err := sqlitex.Execute(reader, "SELECT count(*) FROM cards", nil); err != nil {
		t.Fatal(err)
	}
	w.must(t, w.delete(card))
	if traces(t, dir, [][]byte{card.Sealed}) != 1 {
		t.Fatal("the read does not hold the log, so this proves nothing")
	}
	end(&err)
	if err := errors.Join(err, reader.Close()); err != nil {
		t.Fatal(err)
	}
	w.must(t, w.insert(newCard()))
	if traces(t, dir, [][]byte{card.Sealed}) != 0 {
		t.Error("the ciphertext is left although nothing holds it any more")
	}
}

// traces counts the secrets that a file of the folder holds.
func traces(t testing.TB, dir string, secrets [][]byte) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, content...)
	}
	n := 0
	for _, secret := range secrets {
		if bytes.Contains(all, secret) {
			n++
		}
	}
	return n
}

// writer commits to a store with a chain of its own.
type writer struct {
	store vault.Store
	id    uuid.UUID
	chain audit.Chain
}

func newWriter(store vault.Store) *writer {
	id := uuid.New()
	return &writer{store: store, id: id, chain: audit.NewChain(id)}
}

func (w *writer) must(t testing.TB, write func(ctx context.Context, tx vault.Tx) error) {
	t.Helper()
	if err := w.commit(t.Context(), write); err != nil {
		t.Fatal(err)
	}
}

func (w *writer) commit(ctx context.Context, write func(ctx context.Context, tx vault.Tx) error) error {
	chain, record := w.chain.Append(audit.Entry{Tenant: "acme", Action: "Test"}, epoch())
	err := w.store.Commit(ctx, func(ctx context.Context, tx vault.Tx) ([]audit.Record, error) {
		return []audit.Record{record}, write(ctx, tx)
	})
	if err == nil {
		w.chain = chain
	}
	return err
}

func (w *writer) insert(cards ...vault.CardRow) func(ctx context.Context, tx vault.Tx) error {
	return func(ctx context.Context, tx vault.Tx) error {
		_, err := tx.InsertCards(ctx, "acme", cards)
		return err
	}
}

func (w *writer) delete(cards ...vault.CardRow) func(ctx context.Context, tx vault.Tx) error {
	return func(ctx context.Context, tx vault.Tx) error {
		for _, card := range cards {
			if _, err := tx.DeleteCard(ctx, "acme", card.ID); err != nil {
				return err
			}
		}
		return nil
	}
}

// newCard returns a card with random ids and a ciphertext that nothing else has.
func newCard() vault.CardRow {
	sealed := [2]uuid.UUID{uuid.New(), uuid.New()}
	return vault.CardRow{
		ID: uuid.New(), Fingerprint: uuid.New(), Key: uuid.New(), Sealed: append(sealed[0][:], sealed[1][:]...),
		StandingToken: tokenizer.ID(uuid.New()), StandingTag: 1, State: vault.CardActive, Origin: vault.Tokenized,
		Expiry: 360, LastFour: 1234, Created: epoch(),
	}
}

func epoch() time.Time { return time.UnixMicro(1_790_000_000_000_000).UTC() }
