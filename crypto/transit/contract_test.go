package transit_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/keyring/kektest"
	"github.com/cardvault/cardvault/crypto/secret"
	"github.com/cardvault/cardvault/crypto/transit"
)

func TestContract(t *testing.T) {
	server := startWithKey(t)
	server.CreateKey(t, "transit", "other", map[string]any{"derived": true})
	kek := open(t, server, root(t, server))
	other := open(t, server, root(t, server), func(c *transit.Config) { c.Key = "other" })
	kektest.Run(t, kek, other)
	if kek.Kind() != "transit" {
		t.Errorf("kind %q", kek.Kind())
	}
}

// After a rotation new keys are wrapped by the new version, and old ones unwrap for
// as long as the server is told to keep their version.
func TestRotationOfTheKEK(t *testing.T) {
	server := startWithKey(t)
	kek := open(t, server, root(t, server))
	key := secret.Random(32)
	first, version, err := kek.Wrap(t.Context(), []byte("b"), key)
	if err != nil || version != "1" || !strings.HasPrefix(string(first), "vault:v1:") {
		t.Fatalf("%q by version %q, %v", first, version, err)
	}
	write(t, server, "transit/keys/kek/rotate", nil)
	second, version, err := kek.Wrap(t.Context(), []byte("b"), key)
	if err != nil || version != "2" || !strings.HasPrefix(string(second), "vault:v2:") {
		t.Fatalf("%q by version %q, %v", second, version, err)
	}
	for _, wrapped := range [][]byte{first, second} {
		if back, err := kek.Unwrap(t.Context(), []byte("b"), wrapped); err != nil || !back.Equal(key) {
			t.Errorf("%q: %v", wrapped, err)
		}
	}
	write(t, server, "transit/keys/kek/config", map[string]any{"min_decryption_version": 2})
	if _, err := kek.Unwrap(t.Context(), []byte("b"), first); !errors.Is(err, keyring.ErrDenied) {
		t.Errorf("a version that is no more: %v", err)
	}
}

// Transit's form is checked before anything is sent.
func TestForeignBytesAreDeniedUnasked(t *testing.T) {
	kek, err := transit.New(transit.Config{Address: "https://127.0.0.1:1", Key: "kek", Auth: transit.Auth{TokenFile: "/nonexistent"}})
	if err != nil {
		t.Fatal(err)
	}
	defer kek.Close()
	for _, wrapped := range []string{"", "vault:", "vault:v1", "vault:v1:", "vault:v0:AAAA", "vault:v-1:AAAA", "vault:v99999999999:AAAA", "vault:vx:AAAA", "bank:v1:AAAA"} {
		if _, err := kek.Unwrap(t.Context(), []byte("b"), []byte(wrapped)); !errors.Is(err, keyring.ErrDenied) {
			t.Errorf("%q: %v", wrapped, err)
		}
	}
}
