package transit_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	vaultapi "github.com/hashicorp/vault/api"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/secret"
	"github.com/cardvault/cardvault/crypto/transit"
	"github.com/cardvault/cardvault/crypto/transit/transittest"
)

// leastPrivilege is the policy that operators install, for the keys "kek" and
// "audit".
func leastPrivilege(t *testing.T) string {
	t.Helper()
	policy := readText(t, filepath.Join("..", "..", "deploy", "transit", "policy.hcl"))
	return strings.NewReplacer(`/cardvault"`, `/kek"`, `/cardvault-audit"`, `/audit"`).Replace(policy)
}

// generous keeps a busy test machine from looking like a silent server.
var generous = transit.Timeouts{Call: 30 * time.Second, Attempt: 10 * time.Second}

// startWithKey starts a server with the key that a KEK must be.
func startWithKey(t *testing.T) *transittest.Server {
	t.Helper()
	server := transittest.Start(t)
	server.EnableTransit(t, "transit")
	server.CreateKey(t, "transit", "kek", map[string]any{"type": "aes256-gcm96", "derived": true})
	return server
}

// open returns a KEK on the server's key "kek", changed by edits.
func open(t *testing.T, server *transittest.Server, auth transit.Auth, edits ...func(*transit.Config)) *transit.KEK {
	t.Helper()
	cfg := transit.Config{Address: server.Address, CAFile: server.CAFile, Key: "kek", Auth: auth, Timeouts: generous}
	for _, edit := range edits {
		edit(&cfg)
	}
	kek, err := transit.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kek.Close)
	return kek
}

// root logs in with the root token.
func root(t *testing.T, server *transittest.Server) transit.Auth {
	t.Helper()
	return transit.Auth{TokenFile: writeFile(t, server.RootToken)}
}

// appRole logs in with a policy of its own.
func appRole(t *testing.T, server *transittest.Server, policy string) transit.Auth {
	t.Helper()
	roleID, secretID := server.EnableAppRole(t, policy)
	return transit.Auth{AppRole: &transit.AppRole{RoleID: roleID, SecretIDFile: writeFile(t, secretID)}}
}

// writeFile returns a new file that holds text, and a line break as editors leave it.
func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// roundTrip fails the test unless kek wraps and unwraps.
func roundTrip(t *testing.T, kek keyring.KEK) {
	t.Helper()
	if err := tryRoundTrip(t, kek); err != nil {
		t.Fatal(err)
	}
}

func tryRoundTrip(t *testing.T, kek keyring.KEK) error {
	t.Helper()
	key := secret.Random(32)
	wrapped, _, err := kek.Wrap(t.Context(), []byte("binding"), key)
	if err != nil {
		return err
	}
	back, err := kek.Unwrap(t.Context(), []byte("binding"), wrapped)
	if err == nil && !back.Equal(key) {
		t.Error("the key came back changed")
	}
	return err
}

// requests counts the requests for a path that the server has answered.
func requests(t *testing.T, server *transittest.Server, path string) int {
	t.Helper()
	log := readText(t, server.AuditLog)
	log = log[:strings.LastIndexByte(log, '\n')+1] // without the line that is being written
	count := 0
	for text := range strings.Lines(log) {
		var line struct {
			Type    string
			Request struct{ Path string }
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("audit log: %v", err)
		}
		if line.Type == "response" && line.Request.Path == path {
			count++
		}
	}
	return count
}

// revoke ends every token that an auth mount gave, before it returns.
func revoke(t *testing.T, server *transittest.Server, mount string) {
	t.Helper()
	all := &vaultapi.RevokeOptions{LeaseID: "auth/" + mount, Prefix: true, Sync: true}
	if err := server.Client(t).Sys().RevokeWithOptionsWithContext(t.Context(), all); err != nil {
		t.Fatal(err)
	}
}

// write makes a request as root.
func write(t *testing.T, server *transittest.Server, path string, data map[string]any) *vaultapi.Secret {
	t.Helper()
	answer, err := server.Client(t).Logical().WriteWithContext(t.Context(), path, data)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// mentions fails the test unless err names all words.
func mentions(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not name %q: %v", word, err)
		}
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := fs.ReadFile(os.DirFS(filepath.Dir(path)), filepath.Base(path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
