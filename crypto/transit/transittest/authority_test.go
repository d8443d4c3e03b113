package transittest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/url"
	"testing"
	"time"

	vaultapi "github.com/hashicorp/vault/api"

	"github.com/cardvault/cardvault/crypto/transit/transittest"
)

// authority is a CA for client certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "clients " + rand.Text()},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true, IsCA: true,
	}
	der := sign(t, template, template, key.Public(), key)
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{certificate, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue makes a client certificate with one URI name.
func (a authority) issue(t *testing.T, uri string) tls.Certificate {
	t.Helper()
	name, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "cardvault"},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		URIs:        []*url.URL{name},
	}
	return tls.Certificate{Certificate: [][]byte{sign(t, template, a.certificate, key.Public(), a.key)}, PrivateKey: key}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, template, parent *x509.Certificate, public any, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// certificateClient returns a client without a token that shows the certificate.
func certificateClient(t *testing.T, server *transittest.Server, certificate tls.Certificate) *vaultapi.Client {
	t.Helper()
	client := server.Client(t)
	client.ClearToken()
	transport, ok := client.CloneConfig().HttpClient.Transport.(*http.Transport)
	if !ok {
		t.Fatal("client without an HTTP transport")
	}
	// No connection has been made yet, so the transport's configuration may still change.
	transport.TLSClientConfig.Certificates = []tls.Certificate{certificate}
	return client
}

func certLogin(t *testing.T, client *vaultapi.Client, role string) error {
	t.Helper()
	secret, err := client.Logical().WriteWithContext(t.Context(), "auth/cert/login", map[string]any{"name": role})
	if err != nil {
		return err
	}
	client.SetToken(secret.Auth.ClientToken)
	return nil
}
