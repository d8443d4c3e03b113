package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/cardvault/cardvault/vault/sqlite"
	"github.com/cardvault/cardvault/vault/vaulttest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	vaulttest.StoreContract(t, func(t testing.TB) vaulttest.Database {
		t.Helper()
		path := filepath.Join(t.TempDir(), "vault.db")
		return func(t testing.TB) vaulttest.Store {
			t.Helper()
			return open(t, path)
		}
	})
}

func open(t testing.TB, path string) *closeOnce {
	t.Helper()
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	s := &closeOnce{Store: store}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// closeOnce is a store that a test may close before its end.
type closeOnce struct {
	*sqlite.Store
	closed bool
}

func (s *closeOnce) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	return s.Store.Close()
}
