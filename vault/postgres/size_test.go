package postgres_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/vaulttest/pgtest"
)

// A card with its standing token takes this many bytes, all indexes included.
const maxBytesPerCard = 330

func TestBytesPerCard(t *testing.T) {
	t.Parallel()
	const cards = 50_000
	dsn := migrated(t, pgtest.DSN(t))
	load(t, open(t, dsn), cards)

	conn := connect(t, dsn)
	var heap, indexes int64
	err := conn.QueryRow(t.Context(), `
		SELECT sum(pg_table_size(c)), sum(pg_indexes_size(c))
		FROM unnest(ARRAY['cards', 'tokens']::regclass[]) AS c`).Scan(&heap, &indexes)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes a card: rows %d, indexes %d", (heap+indexes)/cards, heap/cards, indexes/cards)
	if got := (heap + indexes) / cards; got > maxBytesPerCard {
		t.Errorf("%d bytes a card, want at most %d", got, maxBytesPerCard)
	}
}

func connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// sealedSize is that of a packed PAN under AES-256-GCM: 12 bytes of nonce, the PAN, 16 of tag.
const sealedSize = 12 + 9 + 16

// load inserts cards as the server does, in commits of a thousand.
func load(t testing.TB, store vault.Store, n int) {
	t.Helper()
	chain := audit.NewChain(uuid.New())
	key := uuid.New()
	for range n / 1000 {
		rows := make([]vault.CardRow, 1000)
		for i := range rows {
			rows[i] = newCard()
			rows[i].Key = key // as in life: one for all
		}
		next, record := chain.Append(audit.Entry{Tenant: "acme", Action: "Load"}, epoch())
		err := store.Commit(t.Context(), func(ctx context.Context, tx vault.Tx) ([]audit.Record, error) {
			_, err := tx.InsertCards(ctx, "acme", rows)
			return []audit.Record{record}, err
		})
		if err != nil {
			t.Fatal(err)
		}
		chain = next
	}
}

// newCard returns a card as the server makes them, all its ids random.
func newCard() vault.CardRow {
	card := vault.CardRow{
		ID: uuid.New(), Fingerprint: uuid.New(), Key: uuid.New(), Sealed: make([]byte, sealedSize),
		StandingToken: tokenizer.ID(uuid.New()), StandingTag: 1 << 40, State: vault.CardActive,
		Origin: vault.Tokenized, Expiry: 360, LastFour: 1234, Created: epoch(),
	}
	rand.Read(card.Sealed)
	return card
}

func epoch() time.Time { return time.UnixMicro(1_790_000_000_000_000).UTC() }
