package transittest

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"testing"

	vaultapi "github.com/hashicorp/vault/api"
)

// Client returns a client with the root token. It never repeats a request, so that a test sees what the server answered
// first, and has no timeout but that of the context it is given.
func (s *Server) Client(t testing.TB) *vaultapi.Client {
	t.Helper()
	return s.client(t, s.RootToken)
}

// client returns a client with the given token, which may be empty, and certificates to show at login.
func (s *Server) client(t testing.TB, token string, certificates ...tls.Certificate) *vaultapi.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{
			RootCAs: s.roots(t), Certificates: certificates, MinVersion: tls.VersionTLS12,
		},
		ForceAttemptHTTP2: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := vaultapi.NewClient(&vaultapi.Config{
		Address:    s.Address,
		HttpClient: &http.Client{Transport: transport},
	})
	if err != nil {
		t.Fatalf("transit client: %v", err)
	}
	// Whatever VAULT_TOKEN and VAULT_NAMESPACE the developer has set is not meant for this server.
	client.ClearNamespace()
	client.SetToken(token)
	return client
}

func (s *Server) roots(t testing.TB) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatalf("transit CA: %v", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("transit CA: no certificate in %s", s.CAFile)
	}
	return pool
}

// Seal makes the server forget its keys: it answers 503 until Unseal.
func (s *Server) Seal(t testing.TB) {
	t.Helper()
	if err := s.Client(t).Sys().SealWithContext(t.Context()); err != nil {
		t.Fatalf("seal transit server: %v", err)
	}
}

// Unseal gives the server its key back. When it returns, the server answers as before.
func (s *Server) Unseal(t testing.TB) {
	t.Helper()
	status, err := s.Client(t).Sys().UnsealWithContext(t.Context(), s.unsealKey)
	if err != nil || status.Sealed {
		t.Fatalf("unseal transit server: %v, status %+v", err, status)
	}
}

// EnableTransit mounts a transit engine.
func (s *Server) EnableTransit(t testing.TB, mount string) {
	t.Helper()
	err := s.Client(t).Sys().MountWithContext(t.Context(), mount, &vaultapi.MountInput{Type: "transit"})
	if err != nil {
		t.Fatalf("mount transit at %s: %v", mount, err)
	}
}

// CreateKey makes a key with the options of transit's create-key endpoint (type, derived, exportable and so on); nil
// gives the default, aes256-gcm96 without derivation.
func (s *Server) CreateKey(t testing.TB, mount, name string, opts map[string]any) {
	t.Helper()
	s.write(t, mount+"/keys/"+name, opts)
}

// CreateSigningKey makes a key that signs the checkpoints of an audit log.
func (s *Server) CreateSigningKey(t testing.TB, mount, name string) {
	t.Helper()
	s.CreateKey(t, mount, name, map[string]any{"type": "ed25519"})
}

// write makes one request as root. The server answers options that it does not know with a warning alone, which in a
// test is a mistake.
func (s *Server) write(t testing.TB, path string, data map[string]any) *vaultapi.Secret {
	t.Helper()
	secret, err := s.Client(t).Logical().WriteWithContext(t.Context(), path, data)
	if err != nil {
		t.Fatalf("write %s: %v", path, err)
	}
	if secret != nil && len(secret.Warnings) > 0 {
		t.Fatalf("write %s: %q", path, secret.Warnings)
	}
	return secret
}
