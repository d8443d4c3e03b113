package transit_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/transit"
)

func TestCheckAcceptsAGoodKey(t *testing.T) {
	server := startWithKey(t)
	if err := open(t, server, appRole(t, server, leastPrivilege(t))).Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// A key that is no KEK is refused, by the name of what is wrong with it.
func TestCheckRefusesWeakKeys(t *testing.T) {
	server := startWithKey(t)
	auth := root(t, server)
	for name, options := range map[string]map[string]any{
		"derived":                {"derived": false},
		"exportable":             {"derived": true, "exportable": true},
		"allow_plaintext_backup": {"derived": true, "allow_plaintext_backup": true},
		"type":                   {"derived": true, "type": "chacha20-poly1305"},
	} {
		server.CreateKey(t, "transit", name, options)
		err := open(t, server, auth, func(c *transit.Config) { c.Key = name }).Check(t.Context())
		if !errors.Is(err, transit.ErrWeakKey) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		mentions(t, err, "transit/keys/"+name, name+" is ", "make another key")
	}

	server.CreateKey(t, "transit", "deletion", map[string]any{"derived": true})
	write(t, server, "transit/keys/deletion/config", map[string]any{"deletion_allowed": true})
	kek := open(t, server, auth, func(c *transit.Config) { c.Key = "deletion" })
	err := kek.Check(t.Context())
	if !errors.Is(err, transit.ErrWeakKey) {
		t.Fatal(err)
	}
	const step = "transit/keys/deletion/config"
	mentions(t, err, "deletion_allowed is not false", "vault write "+step+" deletion_allowed=false")
	write(t, server, step, map[string]any{"deletion_allowed": false}) // as it says
	if err := kek.Check(t.Context()); err != nil {
		t.Errorf("after the next step: %v", err)
	}
}

func TestCheckNamesEveryWeakness(t *testing.T) {
	server := startWithKey(t)
	server.CreateKey(t, "transit", "worst", map[string]any{"type": "ed25519", "exportable": true, "allow_plaintext_backup": true})
	err := open(t, server, root(t, server), func(c *transit.Config) { c.Key = "worst" }).Check(t.Context())
	mentions(t, err, `type is "ed25519"`, "derived", "exportable", "allow_plaintext_backup")
}

func TestCheckRefusesWhatIsNotThere(t *testing.T) {
	server := startWithKey(t)
	write(t, server, "sys/mounts/kv", map[string]any{"type": "kv"})
	write(t, server, "kv/keys/kek", map[string]any{"type": "aes256-gcm96"})
	auth := root(t, server)
	tests := []struct {
		name string
		edit func(*transit.Config)
		want error
		says []string
	}{
		{"no such key", func(c *transit.Config) { c.Key = "none" }, keyring.ErrDenied, []string{"HTTP 404", `key "none"`, "vault write -f transit/keys/none"}},
		{"no such mount", func(c *transit.Config) { c.Mount = "nowhere" }, keyring.ErrDenied, []string{"HTTP 404", `mount "nowhere"`}},
		{"another engine's mount", func(c *transit.Config) { c.Mount = "kv" }, transit.ErrWeakKey, []string{"derived is not true"}},
		{"namespace ignored", func(c *transit.Config) { c.Namespace = "team" }, keyring.ErrDenied, []string{`namespace "team"`, "ignores namespaces"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := open(t, server, auth, tt.edit).Check(t.Context())
			if !errors.Is(err, tt.want) {
				t.Fatal(err)
			}
			mentions(t, err, tt.says...)
		})
	}
}

// A policy that lacks a right is found at the start, not by the first card.
func TestCheckNamesTheMissingRight(t *testing.T) {
	server := startWithKey(t)
	for path, right := range map[string]string{
		`"transit/keys/kek"`:    `"read" on "transit/keys/kek"`,
		`"transit/encrypt/kek"`: `"update" on "transit/encrypt/kek"`,
		`"transit/decrypt/kek"`: `"update" on "transit/decrypt/kek"`,
	} {
		without := strings.Replace(leastPrivilege(t), path, `"transit/none"`, 1)
		err := open(t, server, appRole(t, server, without)).Check(t.Context())
		if !errors.Is(err, keyring.ErrDenied) {
			t.Fatalf("without %s: %v", right, err)
		}
		mentions(t, err, right, "HTTP 403")
	}
	if logins := requests(t, server, "auth/approle/login"); logins != 3 {
		t.Errorf("%d logins by 3 clients: a refusal is no reason to log in again", logins)
	}
}
