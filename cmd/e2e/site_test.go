package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cardvault/cardvault/crypto/devca"
	"github.com/cardvault/cardvault/crypto/transit/transittest"
	"github.com/cardvault/cardvault/vault/access"
)

const (
	trustDomain = "cards.example.com"
	tenant      = "acme"
	// foreign is another tenant of the same vault.
	foreign = "globex"
)

// site is an issuer's installation: what stands in /etc/cardvault, the database and the transit server.
type site struct {
	dir string
	ca  *devca.CA
	database
	transit *transittest.Server
	*transcript
}

// newSite makes an installation with an empty database.
func newSite(t testing.TB) *site {
	t.Helper()
	return newSiteOn(t, newDatabase(t))
}

// newSiteOn makes an installation on a database.
func newSiteOn(t testing.TB, d database) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), database: d, transit: transittest.Start(t), transcript: &transcript{}}
	var err error
	if s.ca, err = devca.Create(s.dir, time.Now); err != nil {
		t.Fatal(err)
	}
	s.certify(t, "server", devca.Template{Hosts: []string{"localhost", "127.0.0.1"}})
	for _, principal := range []string{"issuer", "payments", "support", "security", "auditor"} {
		s.certify(t, principal, devca.Template{URIs: []string{spiffe(tenant, principal)}})
		s.certify(t, foreign+"-"+principal, devca.Template{URIs: []string{spiffe(foreign, principal)}})
	}
	s.write(t, "policy.cedar", string(access.DemoPolicy()))
	s.write(t, "postgres-url", s.as("cardvault_app"))
	s.write(t, "owner-url", s.as("cardvault_owner"))
	s.transit.EnableTransit(t, "transit")
	s.transit.CreateKey(t, "transit", "cardvault", map[string]any{"type": "aes256-gcm96", "derived": true})
	s.transit.CreateKey(t, "transit", "cardvault-audit", map[string]any{"type": "ed25519"})
	for _, name := range []string{"auditor", "security"} {
		s.certify(t, "staff-"+name, devca.Template{URIs: []string{"spiffe://" + trustDomain + "/staff/" + name}})
	}
	s.write(t, "transit-auth", s.appRole(t, "cardvault"))
	t.Cleanup(func() { s.search(t) })
	return s
}

// newMigratedSite is an installation that is ready to serve.
func newMigratedSite(t testing.TB) *site {
	t.Helper()
	s := newSite(t)
	s.migrate(t)
	return s
}

// migrate brings the database to the binary's schema, as the owner of the tables.
func (s *site) migrate(t testing.TB) {
	t.Helper()
	s.run(t, "migrate", "--config", s.config(t, ownerOfTables)).must(t, exitOK)
}

// certify writes a certificate of the site's authority, with its key.
func (s *site) certify(t testing.TB, name string, template devca.Template) devca.Pair {
	t.Helper()
	pair, err := s.ca.Issue(template)
	if err != nil {
		t.Fatal(err)
	}
	if err := pair.Write(s.dir, name); err != nil {
		t.Fatal(err)
	}
	return pair
}

func spiffe(tenant, principal string) string {
	return "spiffe://" + trustDomain + "/tenant/" + tenant + "/" + principal
}

// appRole makes a role with the policy of deploy/transit for a key, and returns how the configuration names it.
func (s *site) appRole(t testing.TB, key string) string {
	t.Helper()
	role, secret := s.transit.EnableAppRole(t, transitPolicy(t, key))
	return "approle: {role_id_file: " + s.write(t, key+"-role-id", role) +
		", secret_id_file: " + s.write(t, key+"-secret-id", secret) + "}"
}

// transitPolicy is the policy that operators install, for a key.
func transitPolicy(t testing.TB, key string) string {
	t.Helper()
	policy, err := os.ReadFile(repository("deploy", "transit", "policy.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(policy), `/cardvault"`, `/`+key+`"`)
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

// write writes a file of one line or of many, as an editor does, and returns its path.
func (s *site) write(t testing.TB, name, text string) string {
	t.Helper()
	if err := os.WriteFile(s.path(name), []byte(strings.TrimSuffix(text, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return s.path(name)
}

func (s *site) read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(s.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}
