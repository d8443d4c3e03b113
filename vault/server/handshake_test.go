package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cardvault/cardvault/crypto/devca"
)

const issuerID = "spiffe://prod.example/tenant/demo/issuer"

// TestBadCertificates: whoever has none of the certificates it takes is turned
// away in the handshake, and why is counted.
func TestBadCertificates(t *testing.T) {
	s := newSite(t)
	now := s.clock.Now()
	other, err := devca.Create(t.TempDir(), s.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	issue := func(ca *devca.CA, template devca.Template) []devca.Pair {
		t.Helper()
		pair, err := ca.Issue(template)
		if err != nil {
			t.Fatal(err)
		}
		return []devca.Pair{pair}
	}
	named := func(uris ...string) []devca.Pair { return issue(s.ca, devca.Template{URIs: uris}) }
	revoked := named(issuerID)
	s.revoke(t, revoked[0].Serial)

	tests := map[string]struct {
		pairs  []devca.Pair
		reason string
	}{
		"none":           {nil, "handshake"},
		"expired":        {issue(s.ca, devca.Template{URIs: []string{issuerID}, NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)}), "expired"},
		"not yet valid":  {issue(s.ca, devca.Template{URIs: []string{issuerID}, NotBefore: now.Add(time.Hour)}), "expired"},
		"revoked":        {revoked, "revoked"},
		"wrong CA":       {issue(other, devca.Template{URIs: []string{issuerID}}), "unknown_authority"},
		"a server's":     {issue(s.ca, devca.Template{URIs: []string{issuerID}, Hosts: []string{"localhost"}}), "certificate"},
		"two URIs":       {named(issuerID, "spiffe://prod.example/tenant/demo/payments"), "identity"},
		"no URI":         {named(), "identity"},
		"no SPIFFE id":   {named("https://prod.example/tenant/demo/issuer"), "identity"},
		"malformed path": {named("spiffe://prod.example/tenant/demo"), "identity"},
		"foreign domain": {named("spiffe://test.example/tenant/demo/issuer"), "trust_domain"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := ping(t, s.dialTLS(t, s.tls(t, tt.pairs...))); status.Code(err) != codes.Unavailable {
				t.Fatalf("error %v, want UNAVAILABLE", err)
			}
			if reason := <-s.refused; reason != tt.reason {
				t.Errorf("counted as %q, want %q", reason, tt.reason)
			}
		})
	}
	if err := ping(t, s.dial(t, "issuer")); err != nil {
		t.Errorf("a good certificate: %v", err)
	}
}

// revoke adds to the revocation list and puts it in force.
func (s *site) revoke(t *testing.T, serials ...string) {
	t.Helper()
	if _, err := s.ca.Revoke(serials...); err != nil {
		t.Fatal(err)
	}
	if err := s.server.Reload(); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyTLS13(t *testing.T) {
	s := newSite(t)
	cfg := s.tls(t, s.client(t, "issuer"))
	cfg.MaxVersion = tls.VersionTLS12
	if err := ping(t, s.dialTLS(t, cfg)); status.Code(err) != codes.Unavailable {
		t.Fatalf("TLS 1.2: error %v, want UNAVAILABLE", err)
	}
	if reason := <-s.refused; reason != "handshake" {
		t.Errorf("counted as %q", reason)
	}
}

func TestOnlyHTTP2(t *testing.T) {
	s := newSite(t)
	cfg := s.tls(t, s.client(t, "issuer"))
	cfg.NextProtos = []string{"http/1.1"}
	waitClosed(t, s.connect(t, cfg))
	if reason := <-s.refused; reason != "handshake" {
		t.Errorf("counted as %q", reason)
	}
}

// TestSessionsAreNotResumed: a resumed session would not show its certificate
// again.
func TestSessionsAreNotResumed(t *testing.T) {
	s := newSite(t)
	cfg := s.tls(t, s.client(t, "issuer"))
	cfg.ClientSessionCache = &countingCache{ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	conn := s.dialTLS(t, cfg)
	if err := ping(t, conn); err != nil {
		t.Fatal(err)
	}
	if n := cfg.ClientSessionCache.(*countingCache).puts; n != 0 {
		t.Errorf("the server handed out %d session tickets, want none", n)
	}
}

type countingCache struct {
	tls.ClientSessionCache
	puts int
}

func (c *countingCache) Put(key string, state *tls.ClientSessionState) {
	c.puts++
	c.ClientSessionCache.Put(key, state)
}

// TestAuthorityIsNoCaller: not even the authority itself may call.
func TestAuthorityIsNoCaller(t *testing.T) {
	s := newSite(t)
	keyed, err := tls.LoadX509KeyPair(filepath.Join(s.dir, devca.CertFile), filepath.Join(s.dir, devca.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.tls(t)
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &keyed, nil }
	if err := ping(t, s.dialTLS(t, cfg)); status.Code(err) != codes.Unavailable {
		t.Fatalf("error %v, want UNAVAILABLE", err)
	}
	if reason := <-s.refused; reason != "identity" {
		t.Errorf("counted as %q", reason)
	}
}

// TestSelfSigned: what a client says of itself counts for nothing.
func TestSelfSigned(t *testing.T) {
	s := newSite(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	uri, err := url.Parse(issuerID)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: s.clock.Now().Add(-time.Hour), NotAfter: s.clock.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, URIs: []*url.URL{uri},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.tls(t)
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil // although the server did not ask for it
	}
	if err := ping(t, s.dialTLS(t, cfg)); status.Code(err) != codes.Unavailable {
		t.Fatalf("error %v, want UNAVAILABLE", err)
	}
	if reason := <-s.refused; reason != "unknown_authority" {
		t.Errorf("counted as %q", reason)
	}
}

// TestVerdictFallsInTheHandshake: a client that is turned away there gets an
// alert that says so, and nothing of gRPC.
func TestVerdictFallsInTheHandshake(t *testing.T) {
	s := newSite(t)
	pair := s.client(t, "issuer")
	s.revoke(t, pair.Serial)
	current := s.server.gate.trust.Load()
	authority := s.tls(t).RootCAs
	own, err := tls.X509KeyPair(pair.Cert, pair.Key.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	chains, err := own.Leaf.Verify(x509.VerifyOptions{
		Roots: authority, CurrentTime: s.clock.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		t.Fatal(err)
	}
	state := tls.ConnectionState{PeerCertificates: chains[0], VerifiedChains: chains}
	if err := current.config.VerifyConnection(state); !errors.Is(err, errRevoked) {
		t.Errorf("error %v, want %v", err, errRevoked)
	}
	if err := current.config.VerifyConnection(tls.ConnectionState{}); err == nil {
		t.Error("a connection without a certificate passed")
	}
}

func TestNewRefuses(t *testing.T) {
	s := newSite(t)
	good := s.config()
	good.Vault, good.Metrics = s.vault, newMetrics(t)
	empty := filepath.Join(s.dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(*Config){
		"trust domain":            func(c *Config) { c.TrustDomain = "Not A Domain" },
		"in flight":               func(c *Config) { c.MaxInFlight = 0 },
		"no certificate":          func(c *Config) { c.CertFile += "x" },
		"another key":             func(c *Config) { c.KeyFile = filepath.Join(s.dir, devca.KeyFile) },
		"no authority":            func(c *Config) { c.ClientCAFile = empty },
		"a leaf as authority":     func(c *Config) { c.ClientCAFile, c.CRLFile = c.CertFile, "" },
		"a key as authority":      func(c *Config) { c.ClientCAFile = c.KeyFile },
		"no revocation list":      func(c *Config) { c.CRLFile = empty },
		"certificate as list":     func(c *Config) { c.CRLFile = c.ClientCAFile },
		"expired own certificate": func(c *Config) { c.Clock = func() time.Time { return s.clock.Now().Add(40 * 24 * time.Hour) } },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := good
			spoil(&cfg)
			if _, err := New(cfg); err == nil {
				t.Error("a server")
			}
		})
	}
}

func newMetrics(t *testing.T) *Metrics {
	t.Helper()
	metrics, err := NewMetrics()
	if err != nil {
		t.Fatal(err)
	}
	return metrics
}
