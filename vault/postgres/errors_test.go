package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/postgres"
	"github.com/cardvault/cardvault/vault/vaulttest/pgtest"
)

// try commits what write does, with one entry of a chain of its own.
func try(t testing.TB, store vault.Store, write func(ctx context.Context, tx vault.Tx) error) error {
	t.Helper()
	_, record := audit.NewChain(uuid.New()).Append(audit.Entry{Tenant: "acme"}, epoch())
	return store.Commit(t.Context(), func(ctx context.Context, tx vault.Tx) ([]audit.Record, error) {
		return []audit.Record{record}, write(ctx, tx)
	})
}

func TestErrorsHoldNoValues(t *testing.T) {
	t.Parallel()
	store := open(t, migrated(t, pgtest.DSN(t)))
	card := newCard()
	if err := try(t, store, func(ctx context.Context, tx vault.Tx) error {
		_, err := tx.InsertCards(ctx, "acme", []vault.CardRow{card})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	key := vault.KeyRow{ID: uuid.New(), Tenant: "acme", Purpose: "data", Wrapped: []byte("wrapped-secret")}
	const nul = "secret-tenant\x00name"
	for what, c := range map[string]struct {
		write  func(ctx context.Context, tx vault.Tx) error
		values []string
	}{
		"a unique violation": {
			func(ctx context.Context, tx vault.Tx) error {
				_, first := tx.InsertKey(ctx, key, uuid.Nil)
				again := key
				again.Subject = "secret-subject" // another scope, the same id
				_, err := tx.InsertKey(ctx, again, uuid.Nil)
				return errors.Join(first, err)
			},
			[]string{key.ID.String(), "wrapped-secret", "secret-subject"},
		},
		"a token that stands elsewhere": {
			func(ctx context.Context, tx vault.Tx) error {
				bare := newCard()
				bare.StandingToken = tokenizer.ID{}
				if _, err := tx.InsertCards(ctx, "acme", []vault.CardRow{bare}); err != nil {
					return err
				}
				_, err := tx.SetStandingToken(ctx, "acme", bare.ID, card.StandingToken, 1)
				return err
			},
			[]string{uuid.UUID(card.StandingToken).String(), fmt.Sprintf("%x", card.StandingToken[:])},
		},
		"text that PostgreSQL refuses": {
			func(ctx context.Context, tx vault.Tx) error {
				_, err := tx.InsertCards(ctx, nul, []vault.CardRow{newCard()})
				return err
			},
			[]string{"secret-tenant"},
		},
		"a prefix that is no number": {
			func(ctx context.Context, tx vault.Tx) error {
				_, err := tx.InsertBINRange(ctx, "acme", vault.BINRangeRow{Name: "r", Prefix: "9000-secret", Length: 16})
				return err
			},
			[]string{"9000-secret"},
		},
	} {
		err := try(t, store, c.write)
		if err == nil {
			t.Errorf("%s was no error", what)
			continue
		}
		if _, ok := errors.AsType[*pgconn.PgError](err); ok {
			t.Errorf("%s: the server's own error, with its detail, is within reach", what)
		}
		for _, text := range []string{err.Error(), fmt.Sprintf("%v", err), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
			for _, value := range c.values {
				if strings.Contains(text, value) {
					t.Errorf("%s: the error %q holds a value", what, text)
				}
			}
		}
	}
}

func TestErrorsNameCodeAndConstraint(t *testing.T) {
	t.Parallel()
	store := open(t, migrated(t, pgtest.DSN(t)))
	key := vault.KeyRow{ID: uuid.New(), Tenant: "acme", Purpose: "data", Wrapped: []byte{0}}
	err := try(t, store, func(ctx context.Context, tx vault.Tx) error {
		_, first := tx.InsertKey(ctx, key, uuid.Nil)
		key.Subject = "other"
		_, err := tx.InsertKey(ctx, key, uuid.Nil)
		return errors.Join(first, err)
	})
	server, ok := errors.AsType[*postgres.ServerError](err)
	if !ok || server.Code != "23505" || server.Constraint != "keys_pkey" {
		t.Errorf("error %v, want 23505 of keys_pkey", err)
	}
}

func TestOpenKeepsThePasswordToItself(t *testing.T) {
	t.Parallel()
	const password = "hunter2-secret"
	for _, conn := range []string{
		"postgres://app:" + password + "@127.0.0.1:1/db?connect_timeout=1",
		"postgres://app:" + password + "@127.0.0.1:port/db",
		"host=127.0.0.1 port=1 user=app password=" + password + " connect_timeout=1",
		"host=127.0.0.1 password=" + password + " sslmode=nonsense",
		"password='" + password,
	} {
		_, openErr := postgres.Open(t.Context(), postgres.Config{ConnString: conn})
		_, _, migrateErr := postgres.Migrate(t.Context(), conn)
		for _, err := range []error{openErr, migrateErr} {
			if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), password) {
				t.Errorf("error %v, want one without the password", err)
			}
		}
	}
}

func TestOpenRefusesWhatIsNotDurableOrNotThePrimary(t *testing.T) {
	t.Parallel()
	dsn := migrated(t, pgtest.DSN(t))
	for option, want := range map[string]string{
		"synchronous_commit=off":           "synchronous_commit is off",
		"default_transaction_read_only=on": "read only",
	} {
		_, err := postgres.Open(t.Context(), postgres.Config{ConnString: dsn + "&" + option})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one that says %q", option, err, want)
		}
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	store := open(t, migrated(t, pgtest.DSN(t)))
	if err := store.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	if err := store.Ping(t.Context()); err == nil {
		t.Error("a closed store answers")
	}
}
