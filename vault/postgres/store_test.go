package postgres_test

import (
	"os"
	"testing"

	"github.com/cardvault/cardvault/vault/postgres"
	"github.com/cardvault/cardvault/vault/vaulttest"
	"github.com/cardvault/cardvault/vault/vaulttest/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestContract(t *testing.T) {
	t.Parallel()
	vaulttest.StoreContract(t, func(t testing.TB) vaulttest.Database {
		t.Helper()
		dsn := migrated(t, pgtest.DSN(t))
		return func(t testing.TB) vaulttest.Store {
			t.Helper()
			return open(t, dsn)
		}
	})
}

// migrated brings the schema at dsn up to date and returns dsn.
func migrated(t testing.TB, dsn string) string {
	t.Helper()
	if _, _, err := postgres.Migrate(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	return dsn
}

func open(t testing.TB, dsn string) *postgres.Store {
	t.Helper()
	return openWith(t, postgres.Config{ConnString: dsn, MaxConns: 3})
}

func openWith(t testing.TB, config postgres.Config) *postgres.Store {
	t.Helper()
	store, err := postgres.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// Engines that know serializable transactions alone fail many of them, to be run
// again: the store keeps the contract there too.
func TestContractUnderSerializableIsolation(t *testing.T) {
	t.Parallel()
	vaulttest.StoreContract(t, func(t testing.TB) vaulttest.Database {
		t.Helper()
		dsn := migrated(t, pgtest.DSN(t)) + "&default_transaction_isolation=serializable"
		return func(t testing.TB) vaulttest.Store {
			t.Helper()
			return open(t, dsn)
		}
	})
}
