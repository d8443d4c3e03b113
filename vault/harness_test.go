package vault_test

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/localkek"
	"github.com/cardvault/cardvault/crypto/localsigner"
	"github.com/cardvault/cardvault/crypto/secret"
	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/ledger"
	"github.com/cardvault/cardvault/vault/sqlite"
	"github.com/cardvault/cardvault/vault/vaulttest"
)

// foreignPAN is published for testing by card networks and belongs to nobody.
const foreignPAN = "4111111111111111"

// logOrigin names the audit log of every site.
const logOrigin = "vault.test/log"

// site is a store with a KEK, on which replicas are started.
type site struct {
	path   string
	store  *sqlite.Store
	kek    keyring.KEK
	signer *localsigner.Signer
	clock  *vaulttest.Clock
	log    *vaulttest.LogBuffer
}

func newSite(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "cards.db")
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	kek, err := localkek.Create(filepath.Join(dir, "kek"))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := localsigner.Create(filepath.Join(dir, "log.key"), logOrigin)
	if err != nil {
		t.Fatal(err)
	}
	return &site{path: path, store: store, kek: kek, signer: signer, clock: vaulttest.NewClock(time.Now()), log: &vaulttest.LogBuffer{}}
}

// replica starts a Vault on the site's store, or on a store that wraps it.
func (s *site) replica(t *testing.T, store vault.Store) *vault.Vault {
	t.Helper()
	return s.replicaSigning(t, store, s.signer)
}

// replicaSigning is replica with another signer of checkpoints.
func (s *site) replicaSigning(t *testing.T, store vault.Store, signer ledger.Signer) *vault.Vault {
	t.Helper()
	policy, err := access.Parse("demo.cedar", access.DemoPolicy())
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.New(t.Context(), vault.Config{
		Store: store, KEK: s.kek, KeyMaxAge: time.Hour, DataCryptoperiod: 365 * 24 * time.Hour,
		Ledger: ledger.Config{Store: s.store, Signer: signer, Origin: logOrigin},
		Policy: policy, Clock: s.clock.Now, Log: slog.New(slog.NewJSONHandler(io.MultiWriter(s.log, t.Output()), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close(context.Background()) })
	return v
}

// newVault is a site with one replica and an active range of 10,000 numbers.
func newVault(t *testing.T) (*vault.Vault, *site) {
	t.Helper()
	s := newSite(t)
	v := s.replica(t, s.store)
	createRange(t, v, spec("demo", "99990000001"))
	return v, s
}

// caller is a principal of the demo tenant.
func caller(name string) vault.Caller { return callerOf("demo", name) }

func callerOf(tenant, name string) vault.Caller {
	return vault.Caller{
		SPIFFE: "spiffe://dev.test/tenant/" + tenant + "/" + name, Tenant: tenant, Name: name, CertSerial: "0a1b",
	}
}

func spec(id, prefix string) vault.BINRangeSpec {
	return vault.BINRangeSpec{ID: id, Prefix: prefix, PANLength: 16, ValidityMonths: 36}
}

func createRange(t *testing.T, v *vault.Vault, s vault.BINRangeSpec) vault.BINRange {
	t.Helper()
	made, _, err := v.CreateBINRange(t.Context(), caller("security"), "", s)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// issue issues n cards of the demo range.
func issue(t *testing.T, v *vault.Vault, n int) []vault.IssueResult {
	t.Helper()
	reqs := make([]vault.IssueRequest, n)
	for i := range reqs {
		reqs[i] = vault.IssueRequest{BINRange: "demo"}
	}
	results, err := v.IssueCards(t.Context(), caller("issuer"), reqs)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	return results
}

func expiry() *vault.Month { return &vault.Month{Year: 2090, Month: 12} }

// tokenize hands one PAN in.
func tokenize(t *testing.T, v *vault.Vault, number string, o vault.TokenOptions) vault.TokenizeResult {
	t.Helper()
	r := tryTokenize(t, v, vault.TokenizeRequest{PAN: secret.New([]byte(number)), Expiry: expiry(), Token: o})
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	return r
}

func tryTokenize(t *testing.T, v *vault.Vault, req vault.TokenizeRequest) vault.TokenizeResult {
	t.Helper()
	results, err := v.TokenizeCards(t.Context(), caller("issuer"), []vault.TokenizeRequest{req})
	if err != nil {
		t.Fatal(err)
	}
	return results[0]
}

// reveal detokenizes as the payment service does.
func reveal(t *testing.T, v *vault.Vault, token string) (string, error) {
	t.Helper()
	results, err := v.DetokenizeCards(t.Context(), caller("payments"), vault.DetokenizeRequest{
		Tokens: []string{token}, Purpose: "settlement", View: vault.Full,
	})
	if err != nil {
		return "", err
	}
	return results[0].PAN.Reveal(), results[0].Err
}

func newRequestID() string { return uuid.NewString() }

// reopen opens the store's file once more, as a restart does: nothing is cached.
func (s *site) reopen(t *testing.T) vault.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// createOther gives another tenant a card.
func createOther(t *testing.T, v *vault.Vault) {
	t.Helper()
	results, err := v.TokenizeCards(t.Context(), callerOf("other", "issuer"), []vault.TokenizeRequest{
		{PAN: secret.New([]byte(foreignPAN)), Expiry: expiry()},
	})
	if err != nil || results[0].Err != nil {
		t.Fatal(err, results)
	}
}
