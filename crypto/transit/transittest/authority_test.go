package transittest_test

import (
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	vaultapi "github.com/hashicorp/vault/api"

	"github.com/cardvault/cardvault/crypto/devca"
	"github.com/cardvault/cardvault/crypto/transit/transittest"
)

func newAuthority(t *testing.T) *devca.CA {
	t.Helper()
	ca, err := devca.Create(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// certificateClient returns a client without a token that shows a certificate of the authority.
func certificateClient(t *testing.T, server *transittest.Server, ca *devca.CA) *vaultapi.Client {
	t.Helper()
	pair, err := ca.Client("spiffe://test/cardvault")
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(pair.Cert, pair.Key.Reveal())
	if err != nil {
		t.Fatal(err)
	}
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
