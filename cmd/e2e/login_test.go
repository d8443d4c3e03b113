package e2e

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	vaultapi "github.com/hashicorp/vault/api"

	"github.com/cardvault/cardvault/crypto/localkek"
	"github.com/cardvault/cardvault/crypto/localsigner"
	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/ledger"
	"github.com/cardvault/cardvault/vault/postgres"
)

// TestEveryLoginServes starts the server with each way to log in to transit. What was wrapped after one login is
// unwrapped after every other.
func TestEveryLoginServes(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	var token, pan string
	for _, method := range []struct {
		name, prefix string
		login        func(*testing.T, *site) string
	}{
		{"AppRole", "91000000", loginByAppRole},
		{"token file", "92000000", loginByTokenFile},
		{"Kubernetes", "93000000", loginByServiceAccount},
		{"certificate", "94000000", loginByCertificate},
	} {
		t.Run(method.name, func(t *testing.T) {
			r := s.serve(t, logInBy(method.login(t, s)))
			if token == "" {
				r.as(t, "security").createRange(t, "debit", "90000000")
				token = r.as(t, "issuer").issue(t).GetToken()
				pan = r.as(t, "payments").mustReveal(t, token)
			}
			if err := r.as(t, "payments").opensTo(t.Context(), token, pan); err != nil {
				t.Error(err)
			}
			// A range of its own makes the server wrap a key too.
			r.as(t, "security").createRange(t, "another-"+method.prefix, method.prefix)
			r.stop(t)
		})
	}
}

func loginByAppRole(t *testing.T, s *site) string {
	t.Helper()
	return s.read(t, "transit-auth")
}

func loginByTokenFile(t *testing.T, s *site) string {
	t.Helper()
	client := s.transit.Client(t)
	if err := client.Sys().PutPolicyWithContext(t.Context(), "cardvault", transitPolicy(t, "cardvault")); err != nil {
		t.Fatal(err)
	}
	secret, err := client.Auth().Token().CreateWithContext(t.Context(), &vaultapi.TokenCreateRequest{
		Policies: []string{"cardvault"}, NoDefaultPolicy: true, Period: "1h",
	})
	if err != nil {
		t.Fatal(err)
	}
	return "token_file: " + s.write(t, "transit-token", secret.Auth.ClientToken)
}

func loginByServiceAccount(t *testing.T, s *site) string {
	t.Helper()
	role, file := s.transit.EnableKubernetesAuth(t, transitPolicy(t, "cardvault"))
	return "kubernetes: {role: " + role + ", token_file: " + file + "}"
}

func loginByCertificate(t *testing.T, s *site) string {
	t.Helper()
	own := newSelfSigned(t, "cardvault")
	role := s.transit.EnableCertAuth(t, own.cert, transitPolicy(t, "cardvault"))
	return "cert: {role: " + role + ", cert: " + s.write(t, "transit-client.pem", string(own.cert)) +
		", key: " + s.write(t, "transit-client.key", string(own.key)) + "}"
}

// TestRowsOfALocalKeyAreRefused serves a database whose keys a file once wrapped, as of a laptop's vault that was
// moved. Its log is not this server's, so nothing opens, and nothing is added to it.
func TestRowsOfALocalKeyAreRefused(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	token := issueUnderLocalKey(t, s)
	r := s.launch(t, s.config(t)).halted(t)
	pan, err := r.as(t, "payments").reveal(t.Context(), token)
	if pan != "" {
		t.Fatal("a card opened under a key that a file wrapped")
	}
	want(t, "detokenize", err, "AUDIT_LOG_BROKEN")
	_, err = r.as(t, "issuer").tryIssue(t, "debit")
	want(t, "issue", err, "AUDIT_LOG_BROKEN")
}

// issueUnderLocalKey issues a card as `cardvault dev` would, had it PostgreSQL, and returns its token.
func issueUnderLocalKey(t *testing.T, s *site) string {
	t.Helper()
	store, err := postgres.Open(t.Context(), postgres.Config{ConnString: s.as("cardvault_app")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	kek, err := localkek.Create(s.path("kek"))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := access.Parse("policy", access.DemoPolicy())
	if err != nil {
		t.Fatal(err)
	}
	signer, err := localsigner.Create(s.path("signer"), trustDomain+"/audit")
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.New(t.Context(), vault.Config{
		Store: store, KEK: kek, KeyMaxAge: time.Hour, DataCryptoperiod: 24 * time.Hour, Policy: policy,
		Ledger: ledger.Config{Store: store, Signer: signer, Origin: trustDomain + "/audit"},
		Clock:  time.Now, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	caller := func(name string) vault.Caller {
		return vault.Caller{SPIFFE: spiffe(tenant, name), Tenant: tenant, Name: name}
	}
	spec := vault.BINRangeSpec{ID: "debit", Prefix: "90000000", PANLength: 16, ValidityMonths: 36}
	if _, _, err := v.CreateBINRange(t.Context(), caller("security"), uuid.NewString(), spec); err != nil {
		t.Fatal(err)
	}
	results, err := v.IssueCards(t.Context(), caller("issuer"), []vault.IssueRequest{{RequestID: uuid.NewString(), BINRange: "debit"}})
	if err != nil || results[0].Err != nil {
		t.Fatal(err, results)
	}
	if err := v.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return results[0].Token
}
