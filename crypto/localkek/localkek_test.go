package localkek_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/cardvault/cardvault/crypto/keyfile"
	"github.com/cardvault/cardvault/crypto/keyring/kektest"
	"github.com/cardvault/cardvault/crypto/localkek"
	"github.com/cardvault/cardvault/crypto/secret"
)

func create(t *testing.T) (kek *localkek.KEK, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "kek")
	kek, err := localkek.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	return kek, path
}

func TestContract(t *testing.T) {
	kek, _ := create(t)
	other, _ := create(t)
	kektest.Run(t, kek, other)
}

func TestReopenedKEKUnwraps(t *testing.T) {
	kek, path := create(t)
	key := secret.Random(32)
	wrapped, version, err := kek.Wrap(t.Context(), []byte("b"), key)
	if err != nil || version != "1" {
		t.Fatal(version, err)
	}
	reopened, err := localkek.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := reopened.Unwrap(t.Context(), []byte("b"), wrapped); err != nil || !got.Equal(key) {
		t.Errorf("after reopening: %v", err)
	}
	if reopened.Kind() != "local" {
		t.Errorf("kind %q", reopened.Kind())
	}
}

func TestWrapLeavesTheKeyAlone(t *testing.T) {
	kek, _ := create(t)
	key := secret.New([]byte("a key"))
	if _, _, err := kek.Wrap(t.Context(), []byte("b"), key); err != nil {
		t.Fatal(err)
	}
	if string(key.Reveal()) != "a key" {
		t.Error("Wrap changed the key it was given")
	}
}

// What its file keeps is tested in package keyfile.
func TestWhatIsRefused(t *testing.T) {
	_, path := create(t)
	if kek, err := localkek.Create(path); !errors.Is(err, fs.ErrExist) || kek != nil {
		t.Errorf("Create over a KEK: %v", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if kek, err := localkek.Open(path); !errors.Is(err, keyfile.ErrExposed) || kek != nil {
		t.Errorf("open to the group: %v", err)
	}
	other := filepath.Join(t.TempDir(), "other")
	if err := keyfile.Create(other, "another key, NOT FOR PRODUCTION\n", secret.Random(32)); err != nil {
		t.Fatal(err)
	}
	if kek, err := localkek.Open(other); err == nil || kek != nil {
		t.Error("another key is a KEK")
	}
}
