package server

import (
	"crypto/x509"
	"errors"
	"math/big"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/cardvault/cardvault/vault"
)

func mustDomain(t testing.TB) spiffeid.TrustDomain {
	t.Helper()
	return spiffeid.RequireTrustDomainFromString("prod.example")
}

func withURIs(t testing.TB, texts ...string) *x509.Certificate {
	t.Helper()
	cert := &x509.Certificate{SerialNumber: big.NewInt(0x1f)}
	for _, text := range texts {
		uri, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		cert.URIs = append(cert.URIs, uri)
	}
	return cert
}

func TestIdentify(t *testing.T) {
	got, err := identify(withURIs(t, "spiffe://prod.example/tenant/acme-2/payments"), mustDomain(t))
	want := vault.Caller{
		SPIFFE: "spiffe://prod.example/tenant/acme-2/payments", Tenant: "acme-2", Name: "payments", CertSerial: "1f",
	}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestIdentifyStaff(t *testing.T) {
	got, err := identify(withURIs(t, "spiffe://prod.example/staff/auditor-2"), mustDomain(t))
	want := vault.Caller{SPIFFE: "spiffe://prod.example/staff/auditor-2", Staff: true, Name: "auditor-2", CertSerial: "1f"}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	// A tenant of that name is a tenant.
	got, err = identify(withURIs(t, "spiffe://prod.example/tenant/staff/auditor"), mustDomain(t))
	if err != nil || got.Staff || got.Tenant != "staff" || got.Name != "auditor" {
		t.Errorf("a tenant called staff: %+v, %v", got, err)
	}
}

func TestIdentifyRefuses(t *testing.T) {
	const good = "spiffe://prod.example/tenant/acme/payments"
	tests := map[string]struct {
		uris []string
		want error
	}{
		"no URI":             {nil, errURIs},
		"two URIs":           {[]string{good, "spiffe://prod.example/tenant/acme/other"}, errURIs},
		"the same URI twice": {[]string{good, good}, errURIs},
		"no SPIFFE id":       {[]string{"https://prod.example/tenant/acme/payments"}, errSPIFFEID},
		"query":              {[]string{good + "?x=1"}, errSPIFFEID},
		"fragment":           {[]string{good + "#x"}, errSPIFFEID},
		"user":               {[]string{"spiffe://me@prod.example/tenant/acme/payments"}, errSPIFFEID},
		"port":               {[]string{"spiffe://prod.example:1/tenant/acme/payments"}, errSPIFFEID},
		"escape":             {[]string{"spiffe://prod.example/tenant/%61cme/payments"}, errSPIFFEID},
		"escaped slash":      {[]string{"spiffe://prod.example/tenant/acme%2fx/payments"}, errSPIFFEID},
		"dots":               {[]string{"spiffe://prod.example/tenant/../payments"}, errSPIFFEID},
		"trailing slash":     {[]string{good + "/"}, errSPIFFEID},
		"other domain":       {[]string{"spiffe://test.example/tenant/acme/payments"}, errTrustDomain},
		"subdomain":          {[]string{"spiffe://a.prod.example/tenant/acme/payments"}, errTrustDomain},
		"no path":            {[]string{"spiffe://prod.example"}, errPath},
		"no name":            {[]string{"spiffe://prod.example/tenant/acme"}, errPath},
		"too deep":           {[]string{good + "/x"}, errPath},
		"staff, no name":     {[]string{"spiffe://prod.example/staff"}, errPath},
		"staff, too deep":    {[]string{"spiffe://prod.example/staff/demo/auditor"}, errPath},
		"staff, upper case":  {[]string{"spiffe://prod.example/staff/Auditor"}, errPath},
		"staff, other case":  {[]string{"spiffe://prod.example/Staff/auditor"}, errPath},
		"staff, a PAN":       {[]string{"spiffe://prod.example/staff/4242424242424242"}, errPath},
		"other root":         {[]string{"spiffe://prod.example/ns/acme/payments"}, errPath},
		"upper case":         {[]string{"spiffe://prod.example/tenant/Acme/payments"}, errPath},
		"dot in name":        {[]string{"spiffe://prod.example/tenant/acme/pay.ments"}, errPath},
		"underscore":         {[]string{"spiffe://prod.example/tenant/acme/pay_ments"}, errPath},
		"a PAN as name":      {[]string{"spiffe://prod.example/tenant/acme/4242424242424242"}, errPath},
		"a PAN as tenant":    {[]string{"spiffe://prod.example/tenant/card-4242-4242-4242-4242/payments"}, errPath},
		"9 digits":           {[]string{"spiffe://prod.example/tenant/acme/p123456789"}, errPath},
		"64 letters":         {[]string{"spiffe://prod.example/tenant/acme/" + strings.Repeat("a", 64)}, errPath},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := identify(withURIs(t, tt.uris...), mustDomain(t))
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if got != (vault.Caller{}) {
				t.Errorf("refused, and yet a caller: %+v", got)
			}
		})
	}
}

func TestIdentifyRefusesAnAuthority(t *testing.T) {
	cert := withURIs(t, "spiffe://prod.example/tenant/acme/payments")
	cert.IsCA = true
	if _, err := identify(cert, mustDomain(t)); !errors.Is(err, errAuthority) {
		t.Errorf("error %v, want %v", err, errAuthority)
	}
}

func TestLongestNames(t *testing.T) {
	name := strings.Repeat("a", 63)
	got, err := identify(withURIs(t, "spiffe://prod.example/tenant/"+name+"/"+name), mustDomain(t))
	if err != nil || got.Tenant != name || got.Name != name {
		t.Errorf("got %+v, %v", got, err)
	}
}

// FuzzIdentify compares with a second description of what is accepted.
func FuzzIdentify(f *testing.F) {
	for _, seed := range []string{
		"spiffe://prod.example/tenant/acme/payments", "spiffe://prod.example/tenant/acme/payments#",
		"spiffe://prod.example/tenant/acme-12345678/p-123456789",
		"spiffe://prod.example/staff/auditor", "spiffe://prod.example/staff/a/b", "spiffe://prod.example/tenant/staff/b",
		"SPIFFE://prod.example/tenant/a/b", "spiffe://prod.example//tenant/a/b", "spiffe:prod.example/tenant/a/b",
		"spiffe://prod.example/tenant/a/b?", "spiffe://prod.example/tenant/%2e/b", "spiffe://PROD.example/tenant/a/b",
	} {
		f.Add(seed)
	}
	whole := regexp.MustCompile(`^spiffe://prod\.example/(?:tenant/([a-z0-9-]{1,63})|staff)/([a-z0-9-]{1,63})$`)
	notDigit := regexp.MustCompile(`[^0-9]`)
	f.Fuzz(func(t *testing.T, text string) {
		uri, err := url.Parse(text)
		if err != nil {
			t.Skip("no certificate can hold it")
		}
		cert := &x509.Certificate{SerialNumber: big.NewInt(1), URIs: []*url.URL{uri}}
		got, err := identify(cert, mustDomain(t))
		parts := whole.FindStringSubmatch(uri.String())
		if parts != nil && max(len(notDigit.ReplaceAllString(parts[1], "")), len(notDigit.ReplaceAllString(parts[2], ""))) > 8 {
			parts = nil
		}
		switch {
		case (err == nil) != (parts != nil):
			t.Fatalf("error %v, but the expression matches: %v", err, parts != nil)
		case err != nil:
			if strings.Contains(text, "/") && len(text) > 12 && strings.Contains(err.Error(), text) {
				t.Error("the error repeats the name")
			}
		case got.SPIFFE != parts[0] || got.Tenant != parts[1] || got.Name != parts[2] || got.Staff != (parts[1] == ""):
			t.Errorf("read %+v of %q", got, text)
		}
	})
}
