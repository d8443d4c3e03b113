package transit_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/transit"
)

// A key that is none for signing checkpoints is refused, by the name of what is wrong.
func TestSignerCheckRefusesWeakKeys(t *testing.T) {
	server := startWithBothKeys(t)
	kek := open(t, server, root(t, server))
	for name, options := range map[string]map[string]any{
		"exportable":             {"type": "ed25519", "exportable": true},
		"allow_plaintext_backup": {"type": "ed25519", "allow_plaintext_backup": true},
		"derived":                {"type": "ed25519", "derived": true},
		"type":                   {"type": "ecdsa-p256"},
	} {
		server.CreateKey(t, "transit", name, options)
		s, _ := signer(t, kek, func(c *transit.SignerConfig) { c.Key = name })
		err := s.Check(t.Context())
		if !errors.Is(err, transit.ErrWeakKey) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		mentions(t, err, "transit/keys/"+name, name+" is ", "make another key")
	}
	s, _ := signer(t, kek, func(c *transit.SignerConfig) { c.Key = "kek" })
	err := s.Check(t.Context())
	mentions(t, err, `type is "aes256-gcm96", want "ed25519"`, "derived is not false")

	s, _ = signer(t, kek)
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, server, "transit/keys/audit/config", map[string]any{"deletion_allowed": true})
	if err := s.Check(t.Context()); !errors.Is(err, transit.ErrWeakKey) {
		t.Fatal(err)
	} else {
		mentions(t, err, "vault write transit/keys/audit/config deletion_allowed=false")
	}
}

func TestSignerCheckNamesTheNextStep(t *testing.T) {
	server := startWithBothKeys(t)
	kek := open(t, server, root(t, server))
	s, _ := signer(t, kek, func(c *transit.SignerConfig) { c.Key = "none" })
	err := s.Check(t.Context())
	mustMean(t, "no key", err, keyring.ErrDenied)
	mentions(t, err, "HTTP 404", "vault write -f transit/keys/none type=ed25519")

	for path, right := range map[string]string{
		`"transit/keys/audit"`: `"read" on "transit/keys/audit"`,
		`"transit/sign/audit"`: `"update" on "transit/sign/audit"`,
	} {
		without := strings.Replace(leastPrivilege(t), path, `"transit/none"`, 1)
		s, _ := signer(t, open(t, server, appRole(t, server, without)))
		err := s.Check(t.Context())
		mustMean(t, "without "+right, err, keyring.ErrDenied)
		mentions(t, err, right, "HTTP 403")
	}

	s, _ = signer(t, open(t, server, root(t, server), func(c *transit.Config) { c.Namespace = "team" }))
	err = s.Check(t.Context())
	mustMean(t, "namespace", err, keyring.ErrDenied)
	mentions(t, err, "ignores namespaces")
}
