package transit_test

import (
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	vaultapi "github.com/hashicorp/vault/api"

	"github.com/cardvault/cardvault/crypto/devca"
	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/transit"
	"github.com/cardvault/cardvault/crypto/transit/transittest"
)

func TestEveryMethodLogsIn(t *testing.T) {
	server := startWithKey(t)
	role, jwtFile := server.EnableKubernetesAuth(t, leastPrivilege(t))
	certFile, keyFile, ca := clientCertificate(t)
	certRole := server.EnableCertAuth(t, ca, leastPrivilege(t))
	for name, auth := range map[string]transit.Auth{
		"token file":      root(t, server),
		"AppRole":         appRole(t, server, leastPrivilege(t)),
		"Kubernetes":      {Kubernetes: &transit.Kubernetes{Role: role, JWTFile: jwtFile}},
		"TLS certificate": {TLSCert: &transit.TLSCert{CertFile: certFile, KeyFile: keyFile, Role: certRole}},
		"any role":        {TLSCert: &transit.TLSCert{CertFile: certFile, KeyFile: keyFile}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := open(t, server, auth).Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// A login at a mount of another name, as larger installations have.
func TestLoginMount(t *testing.T) {
	server := startWithKey(t)
	if err := server.Client(t).Sys().EnableAuthWithOptionsWithContext(t.Context(), "team/roles", &vaultapi.EnableAuthOptions{Type: "approle"}); err != nil {
		t.Fatal(err)
	}
	auth := roleAt(t, server, "team/roles", map[string]any{})
	roundTrip(t, open(t, server, auth))
}

// roleAt makes an AppRole with the right to use the KEK and these options.
func roleAt(t *testing.T, server *transittest.Server, mount string, options map[string]any) transit.Auth {
	t.Helper()
	if err := server.Client(t).Sys().PutPolicyWithContext(t.Context(), "least", leastPrivilege(t)); err != nil {
		t.Fatal(err)
	}
	role := "auth/" + mount + "/role/r"
	options["token_policies"], options["token_no_default_policy"] = "least", true
	write(t, server, role, options)
	id, err := server.Client(t).Logical().ReadWithContext(t.Context(), role+"/role-id")
	if err != nil {
		t.Fatal(err)
	}
	secretID := write(t, server, role+"/secret-id", nil)
	return transit.Auth{AppRole: &transit.AppRole{
		RoleID: id.Data["role_id"].(string), SecretIDFile: writeFile(t, secretID.Data["secret_id"].(string)), Mount: mount,
	}}
}

func TestRefusedLogins(t *testing.T) {
	server := startWithKey(t)
	role, _ := server.EnableKubernetesAuth(t, leastPrivilege(t))
	certFile, keyFile, _ := clientCertificate(t)
	_, _, otherCA := clientCertificate(t)
	certRole := server.EnableCertAuth(t, otherCA, leastPrivilege(t))
	for name, auth := range map[string]transit.Auth{
		"token file":      {TokenFile: writeFile(t, "hvs.no-such-token")},
		"Kubernetes":      {Kubernetes: &transit.Kubernetes{Role: role, JWTFile: writeFile(t, "e30.e30.e30")}},
		"TLS certificate": {TLSCert: &transit.TLSCert{CertFile: certFile, KeyFile: keyFile, Role: certRole}},
	} {
		if err := tryRoundTrip(t, open(t, server, auth)); !errors.Is(err, keyring.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, auth := range map[string]transit.Auth{
		"no token file":     {TokenFile: "/nonexistent/file"},
		"empty token file":  {TokenFile: writeFile(t, "")},
		"no secret id file": {AppRole: &transit.AppRole{RoleID: "r", SecretIDFile: "/nonexistent/file"}},
		"no JWT file":       {Kubernetes: &transit.Kubernetes{Role: role, JWTFile: "/nonexistent/file"}},
	} {
		err := tryRoundTrip(t, open(t, server, auth))
		if !errors.Is(err, keyring.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		mentions(t, err, "file")
	}
}

// A token that is revoked costs one login for all who use it, and no failed call.
func TestRevokedTokenIsReplacedOnce(t *testing.T) {
	server := startWithKey(t)
	kek := open(t, server, appRole(t, server, leastPrivilege(t)))
	roundTrip(t, kek)
	for round := range 3 {
		revoke(t, server, "approle")
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				if err := tryRoundTrip(t, kek); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if logins := requests(t, server, "auth/approle/login"); logins != round+2 {
			t.Errorf("%d logins after %d revocations, want %d", logins, round+1, round+2)
		}
	}
}

// A token is renewed by itself, and replaced by itself where it cannot live longer.
// It takes no call to bring that about, so no call waits for it.
func TestTokenIsKeptAlive(t *testing.T) {
	t.Parallel() // it mostly waits
	server := startWithKey(t)
	if err := server.Client(t).Sys().EnableAuthWithOptionsWithContext(t.Context(), "approle", &vaultapi.EnableAuthOptions{Type: "approle"}); err != nil {
		t.Fatal(err)
	}
	kek := open(t, server, roleAt(t, server, "approle", map[string]any{"token_ttl": "3s", "token_max_ttl": "6s"}))
	roundTrip(t, kek)
	eventually(t, "three logins and two renewals", func() bool {
		return requests(t, server, "auth/approle/login") >= 3 && requests(t, server, "auth/token/renew-self") >= 2
	})
}

// eventually asks until it is so, for as long as the tests may run: how long a server
// takes is none of their business.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	t.Logf("waiting until: %s", what)
	for !so() {
		<-tick.C
	}
}

// An agent writes a new token into the file whenever it likes.
func TestTokenFileIsReadAnew(t *testing.T) {
	server := startWithKey(t)
	first, second := childToken(t, server), childToken(t, server)
	file := writeFile(t, first)
	kek := open(t, server, transit.Auth{TokenFile: file})
	roundTrip(t, kek)

	if err := os.WriteFile(file, []byte(second), 0o600); err != nil {
		t.Fatal(err)
	}
	revokeToken(t, server, first)
	roundTrip(t, kek)

	// While the file is away the present token goes on.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	roundTrip(t, kek)
	revokeToken(t, server, second)
	if err := tryRoundTrip(t, kek); err == nil {
		t.Error("a revoked token with no other in sight still works")
	}
}

// The token that the file holds is the one to use, though the one before still lives.
func TestTokenFileWithAnotherToken(t *testing.T) {
	server := startWithKey(t)
	powerless, err := server.Client(t).Auth().Token().CreateWithContext(t.Context(), &vaultapi.TokenCreateRequest{Policies: []string{"default"}})
	if err != nil {
		t.Fatal(err)
	}
	file := writeFile(t, powerless.Auth.ClientToken)
	kek := open(t, server, transit.Auth{TokenFile: file})
	if err := tryRoundTrip(t, kek); !errors.Is(err, keyring.ErrDenied) {
		t.Fatalf("a token without rights: %v", err)
	}
	if err := os.WriteFile(file, []byte(childToken(t, server)), 0o600); err != nil {
		t.Fatal(err)
	}
	roundTrip(t, kek)
}

// A token that may not even look at itself is used all the same.
func TestTokenThatMayNotLookAtItself(t *testing.T) {
	const onlyTheKey = `
path "transit/keys/kek"    { capabilities = ["read"] }
path "transit/encrypt/kek" { capabilities = ["update"] }
path "transit/decrypt/kek" { capabilities = ["update"] }
`
	server := startWithKey(t)
	if err := server.Client(t).Sys().PutPolicyWithContext(t.Context(), "least", onlyTheKey); err != nil {
		t.Fatal(err)
	}
	token, err := server.Client(t).Auth().Token().CreateWithContext(t.Context(), &vaultapi.TokenCreateRequest{
		Policies: []string{"least"}, NoDefaultPolicy: true, TTL: "1h",
	})
	if err != nil {
		t.Fatal(err)
	}
	kek := open(t, server, transit.Auth{TokenFile: writeFile(t, token.Auth.ClientToken)})
	if err := kek.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func childToken(t *testing.T, server *transittest.Server) string {
	t.Helper()
	token, err := server.Client(t).Auth().Token().CreateWithContext(t.Context(), &vaultapi.TokenCreateRequest{TTL: "1h"})
	if err != nil {
		t.Fatal(err)
	}
	return token.Auth.ClientToken
}

func revokeToken(t *testing.T, server *transittest.Server, token string) {
	t.Helper()
	if err := server.Client(t).Auth().Token().RevokeTreeWithContext(t.Context(), token); err != nil {
		t.Fatal(err)
	}
}

// A server that nobody vouches for gets no key.
func TestServerMustBeTheRightOne(t *testing.T) {
	server := startWithKey(t)
	_, _, other := clientCertificate(t)
	for name, file := range map[string]string{"system's authorities": "", "another authority": writeFile(t, string(other))} {
		kek := open(t, server, root(t, server), func(c *transit.Config) { c.CAFile = file })
		err := tryRoundTrip(t, kek)
		if !errors.Is(err, keyring.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		mentions(t, err, "certificate")
	}
}

// A client certificate may be replaced while we run.
func TestClientCertificateIsReadAnew(t *testing.T) {
	server := startWithKey(t)
	oldCert, oldKey, oldCA := clientCertificate(t)
	newCert, newKey, newCA := clientCertificate(t)
	role := server.EnableCertAuth(t, append(oldCA, newCA...), leastPrivilege(t))
	files := transit.TLSCert{CertFile: writeFile(t, readText(t, oldCert)), KeyFile: writeFile(t, readText(t, oldKey)), Role: role}
	kek := open(t, server, transit.Auth{TLSCert: &files})
	roundTrip(t, kek)

	for from, to := range map[string]string{newCert: files.CertFile, newKey: files.KeyFile} {
		if err := os.WriteFile(to, []byte(readText(t, from)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(t, server, "auth/cert/certs/"+role, map[string]any{"certificate": string(newCA), "token_policies": role})
	revoke(t, server, "cert")
	server.Restart(t) // which also ends the connections made with the old certificate
	roundTrip(t, kek)
}

// clientCertificate makes a CA and a certificate of it.
func clientCertificate(t *testing.T) (certFile, keyFile string, caPEM []byte) {
	t.Helper()
	ca, err := devca.Create(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Client("spiffe://test/cardvault")
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, string(pair.Cert)), writeFile(t, string(pair.Key.Reveal())), ca.Cert()
}
