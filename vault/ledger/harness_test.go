package ledger_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
	"github.com/cardvault/cardvault/vault/sqlite"
	"github.com/cardvault/cardvault/vault/vaulttest"
)

const origin = "cards.example.com/audit"

// site is a database with writers and ledgers on it.
type site struct {
	t     *testing.T
	path  string
	store *sqlite.Store
	clock *vaulttest.Clock
	log   *vaulttest.LogBuffer
	key   *signer
	// writers by their replica, so that the log can be compared with what they wrote.
	writers []*writer
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{
		t: t, path: filepath.Join(t.TempDir(), "cards.db"), log: &vaulttest.LogBuffer{}, key: newSigner(t),
		clock: vaulttest.NewClock(time.Date(2026, time.March, 14, 15, 9, 26, 0, time.UTC)),
	}
	s.store = s.open(s.path)
	return s
}

func (s *site) open(path string) *sqlite.Store {
	s.t.Helper()
	store, err := sqlite.Open(s.t.Context(), path)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := store.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return store
}

// backup returns a site on a copy of the database as it is.
func (s *site) backup(t *testing.T) *site {
	t.Helper()
	older := *s
	older.t, older.path = t, filepath.Join(t.TempDir(), "copy.db")
	s.edit("VACUUM INTO ?", older.path)
	if err := os.Chmod(older.path, 0o600); err != nil {
		t.Fatal(err)
	}
	older.store = older.open(older.path)
	older.key = &signer{Signer: s.key.Signer, verifier: s.key.verifier}
	older.writers = nil
	for _, w := range s.writers {
		again := *w
		again.site, again.store, again.bodies = &older, older.store, slices.Clip(w.bodies)
		older.writers = append(older.writers, &again)
	}
	return &older
}

// config is that of a new replica.
func (s *site) config() ledger.Config {
	return ledger.Config{
		Store: s.store, Signer: s.key, Origin: origin, Replica: uuid.New(), Verify: verifySeal,
		Clock: s.clock.Now, Log: slog.New(slog.NewJSONHandler(io.MultiWriter(s.log, s.t.Output()), nil)), Meter: noop.Meter{},
	}
}

func (s *site) ledger(change func(*ledger.Config)) *ledger.Ledger {
	s.t.Helper()
	cfg := s.config()
	if change != nil {
		change(&cfg)
	}
	l, err := ledger.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

// takeOver lets the lease lapse, as l sees it, and steps it.
func (s *site) takeOver(l *ledger.Ledger) {
	s.t.Helper()
	s.step(l)
	s.clock.Advance(3 * time.Second)
	s.step(l)
}

func (s *site) step(l *ledger.Ledger) {
	s.t.Helper()
	if err := l.Step(s.t.Context()); err != nil {
		s.t.Fatalf("step: %v", err)
	}
}

// alarms returns how often an alarm was raised.
func (s *site) alarms(what string) int {
	return strings.Count(s.log.String(), `"alarm":"`+what+`"`)
}

// writer is the chain of a replica.
type writer struct {
	*site
	store  vault.Store
	chain  audit.Chain
	id     uuid.UUID
	bodies [][]byte
	entry  audit.Entry
}

func (s *site) writer() *writer {
	id := uuid.New()
	w := &writer{site: s, store: s.store, id: id, chain: audit.NewChain(id)}
	w.entry = audit.Entry{Tenant: "acme", Action: "Test", Decision: audit.Allow, Result: "OK"}
	s.writers = append(s.writers, w)
	return w
}

// write commits n entries with a sealed tail.
func (w *writer) write(n int) {
	w.t.Helper()
	w.commit(n, sealTail)
}

// commit commits n entries with a tail that seal makes of the honest one, or none.
func (w *writer) commit(n int, seal func(audit.Tail) (audit.Tail, bool)) {
	w.t.Helper()
	if err := w.try(n, seal); err != nil {
		w.t.Fatalf("commit: %v", err)
	}
}

// try is commit for what may fail. After that the chain is as it was.
func (w *writer) try(n int, seal func(audit.Tail) (audit.Tail, bool)) error {
	records := make([]audit.Record, n)
	chain, bodies := w.chain, w.bodies
	for i := range records {
		chain, records[i] = chain.Append(w.entry, w.clock.Now())
		bodies = append(bodies, records[i].Body)
	}
	err := w.store.Commit(context.Background(), func(_ context.Context, tx vault.Tx) ([]audit.Record, error) {
		if tail, ok := seal(audit.Tail{Replica: w.id, Number: chain.Len() - 1, Head: chain.Head()}); ok {
			tx.SealChain(tail)
		}
		return records, nil
	})
	if err == nil {
		w.chain, w.bodies = chain, bodies
	}
	return err
}

// sealTail seals as replicas do; its key is what verifySeal knows.
func sealTail(t audit.Tail) (audit.Tail, bool) {
	t.KEKKind, t.Key = "test", []byte("key of "+t.Replica.String())
	t.Seal = sealOf(t)
	return t, true
}

func noSeal(t audit.Tail) (audit.Tail, bool) {
	return audit.Tail{Replica: t.Replica, Number: t.Number}, true
}

func noTail(audit.Tail) (audit.Tail, bool) { return audit.Tail{}, false }

func badSeal(t audit.Tail) (audit.Tail, bool) {
	t, _ = sealTail(t)
	t.Seal[0] ^= 1
	return t, true
}

func sealOf(t audit.Tail) audit.Hash {
	mac := hmac.New(sha256.New, t.Key)
	mac.Write(binary.BigEndian.AppendUint64(t.Replica[:], uint64(t.Number)))
	mac.Write(t.Head[:])
	return audit.Hash(mac.Sum(nil))
}

var errSealOfTest = errors.New("bad seal")

func verifySeal(_ context.Context, t audit.Tail) error {
	if seal := sealOf(t); !hmac.Equal(seal[:], t.Seal[:]) {
		return errSealOfTest
	}
	return nil
}

// head returns the log's head as it is stored.
func (s *site) head() ledger.Head {
	s.t.Helper()
	head, err := s.store.LogHead(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	return head
}
