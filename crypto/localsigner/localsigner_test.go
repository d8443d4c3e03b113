package localsigner_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/crypto/checkpoint/signertest"
	"github.com/cardvault/cardvault/crypto/keyfile"
	"github.com/cardvault/cardvault/crypto/localkek"
	"github.com/cardvault/cardvault/crypto/localsigner"
)

const origin = "dev.cardvault/audit"

func create(t *testing.T) (signer *localsigner.Signer, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "signer")
	signer, err := localsigner.Create(path, origin)
	if err != nil {
		t.Fatal(err)
	}
	return signer, path
}

func TestContract(t *testing.T) {
	signer, _ := create(t)
	signertest.Run(t, signer, origin)
}

func TestReopenedKeyIsTheSame(t *testing.T) {
	signer, path := create(t)
	reopened, err := localsigner.Open(path, origin)
	if err != nil {
		t.Fatal(err)
	}
	if reopened.VerifierKey() != signer.VerifierKey() {
		t.Errorf("%s is %s after reopening", signer.VerifierKey(), reopened.VerifierKey())
	}
	signed, err := reopened.Sign(t.Context(), signertest.Text(origin, 3))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(signer.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(signed, note.VerifierList(verifier)); err != nil {
		t.Error(err)
	}
	other, err := localsigner.Open(path, origin+"2")
	if err != nil {
		t.Fatal(err)
	}
	if other.VerifierKey() == signer.VerifierKey() {
		t.Error("one key of two logs")
	}
}

func TestFileIsItsOwnersAlone(t *testing.T) {
	_, path := create(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("mode %o", info.Mode())
	}
	content, err := fs.ReadFile(os.DirFS(filepath.Dir(path)), filepath.Base(path))
	if err != nil || !strings.Contains(string(content), "NOT FOR PRODUCTION") {
		t.Errorf("the file does not say what it is: %v", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := localsigner.Open(path, origin); !errors.Is(err, keyfile.ErrExposed) {
		t.Errorf("open to the group: %v", err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	_, path := create(t)
	if signer, err := localsigner.Create(path, origin); !errors.Is(err, fs.ErrExist) || signer != nil {
		t.Errorf("Create over a key: %v", err)
	}
	if _, err := localsigner.Open(path, "a b"); err == nil {
		t.Error("an origin that is no name")
	}
	bad := filepath.Join(t.TempDir(), "bad")
	if _, err := localsigner.Create(bad, "a b"); err == nil {
		t.Error("Create for an origin that is no name")
	}
	if _, err := localsigner.Open(bad, origin); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was refused left a file: %v", err)
	}
	if _, err := localkek.Create(bad); err != nil {
		t.Fatal(err)
	}
	if _, err := localsigner.Open(bad, origin); err == nil {
		t.Error("a KEK signs")
	}
}

// The private key shows neither in what is printed nor in what is signed.
func TestKeyStaysHidden(t *testing.T) {
	signer, path := create(t)
	content, err := fs.ReadFile(os.DirFS(filepath.Dir(path)), filepath.Base(path))
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := bytes.Cut(bytes.TrimSpace(content), []byte("\n"))
	seed, err := base64.StdEncoding.DecodeString(string(line))
	if err != nil || len(seed) != 32 {
		t.Fatalf("%d bytes, %v", len(seed), err)
	}
	printed := fmt.Sprintf("%v %+v %#v", signer, signer, *signer) + fmt.Sprint(*signer)
	for _, trace := range []string{string(line), fmt.Sprintf("%x", seed), fmt.Sprint(seed), string(seed)} {
		if strings.Contains(printed, strings.Trim(trace, "[]")) {
			t.Errorf("the key shows: %s", printed)
		}
	}
}
