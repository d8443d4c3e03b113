package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/cardvault/cardvault/crypto/devca"
)

// greet connects and says the first words of HTTP/2. It returns the connection once the server has answered in kind:
// in TLS 1.3 a client's handshake is over before the server has looked at its certificate.
func (r *replica) greet(t testing.TB, config *tls.Config) (*tls.Conn, error) {
	t.Helper()
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: patience}, Config: config}
	conn, err := dialer.DialContext(t.Context(), "tcp", r.addr)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	framer := http2.NewFramer(conn, conn)
	_, err = io.WriteString(conn, http2.ClientPreface)
	if err == nil {
		err = framer.WriteSettings()
	}
	// Even if the server has hung up by now, what it said before can be read.
	frame, readErr := framer.ReadFrame()
	if readErr != nil {
		return nil, readErr
	}
	if err != nil {
		return nil, err
	}
	if frame.Header().Type != http2.FrameSettings {
		return nil, fmt.Errorf("the server begins with %s", frame.Header().Type)
	}
	secure, ok := conn.(*tls.Conn)
	if !ok {
		return nil, fmt.Errorf("dialled a %T", conn)
	}
	return secure, nil
}

// TestStrangersAreTurnedAway shows certificates of every bad kind to the true listener, and sees each refused in the
// handshake, counted and logged by its reason, never by what it said.
func TestStrangersAreTurnedAway(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	revoked := s.certify(t, "revoked", devca.Template{URIs: []string{spiffe(tenant, "payments")}})
	if _, err := s.ca.Revoke(revoked.Serial); err != nil {
		t.Fatal(err)
	}
	other := newSite(t)
	stranger := newSelfSigned(t, "payments")
	s.write(t, "self-signed.pem", string(stranger.cert))
	s.write(t, "self-signed.key", string(stranger.key))
	for name, template := range map[string]devca.Template{
		"expired":      {URIs: []string{spiffe(tenant, "payments")}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)},
		"early":        {URIs: []string{spiffe(tenant, "payments")}, NotBefore: time.Now().Add(time.Hour), NotAfter: time.Now().Add(2 * time.Hour)},
		"two-uris":     {URIs: []string{spiffe(tenant, "payments"), spiffe(tenant, "issuer")}},
		"no-uri":       {},
		"other-domain": {URIs: []string{"spiffe://other.example.com/tenant/acme/payments"}},
		"other-path":   {URIs: []string{"spiffe://" + trustDomain + "/payments"}},
		"no-spiffe":    {URIs: []string{"https://" + trustDomain + "/tenant/acme/payments"}},
		"server-usage": {URIs: []string{spiffe(tenant, "payments")}, Hosts: []string{"localhost"}},
	} {
		s.certify(t, name, template)
	}
	r := s.serve(t)
	if _, err := r.greet(t, s.tls(t, "payments")); err != nil {
		t.Fatal("a good certificate: ", err)
	}

	fromElsewhere := other.tls(t, "payments")
	fromElsewhere.RootCAs = s.tlsWithout(t).RootCAs
	old := s.tls(t, "payments")
	old.MaxVersion = tls.VersionTLS12
	for _, stranger := range []struct {
		name    string
		config  *tls.Config
		counted string
	}{
		{"no certificate", s.tlsWithout(t), "handshake"},
		{"expired", s.tls(t, "expired"), "expired"},
		{"not valid yet", s.tls(t, "early"), "expired"},
		{"revoked", s.tls(t, "revoked"), "revoked"},
		{"of another authority", fromElsewhere, "unknown_authority"},
		{"self-signed", insisting(s.tls(t, "self-signed")), "unknown_authority"},
		{"two URIs", s.tls(t, "two-uris"), "identity"},
		{"no URI", s.tls(t, "no-uri"), "identity"},
		{"of another trust domain", s.tls(t, "other-domain"), "trust_domain"},
		{"of no tenant", s.tls(t, "other-path"), "identity"},
		{"no SPIFFE id", s.tls(t, "no-spiffe"), "identity"},
		{"of a server", s.tls(t, "server-usage"), "certificate"},
		{"TLS 1.2", old, "handshake"},
	} {
		before := r.refused(t, stranger.counted)
		conn, err := r.greet(t, stranger.config)
		if err == nil {
			_ = conn.Close()
			t.Errorf("%s: let in", stranger.name)
			continue
		}
		if !strings.Contains(err.Error(), "remote error: tls: ") && !isHangUp(err) {
			t.Errorf("%s: not turned away by the server: %v", stranger.name, err)
		}
		eventually(t, stranger.name+" is counted as "+stranger.counted, func() error {
			if after := r.refused(t, stranger.counted); after != before+1 {
				return fmt.Errorf("%d after %d", after, before)
			}
			return nil
		})
	}
	if strings.Contains(r.stderr.String(), "other.example.com") {
		t.Error("the log repeats what a stranger's certificate says")
	}
	if n := s.count(t, "SELECT count(*) FROM audit_entries"); n != 1 {
		t.Errorf("strangers left %d audit entries", n-1)
	}
}

// insisting shows a certificate although the server did not ask for one of its issuer.
func insisting(config *tls.Config) *tls.Config {
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &config.Certificates[0], nil }
	return config
}

// isHangUp reports whether the server closed the connection: its alert can be lost where it was sent before the
// client's last words came.
func isHangUp(err error) bool {
	text := err.Error()
	return strings.Contains(text, "EOF") || strings.Contains(text, "connection reset") || strings.Contains(text, "broken pipe")
}

// refused reads from the metrics how many handshakes were refused for a reason.
func (r *replica) refused(t testing.TB, reason string) int {
	t.Helper()
	_, text := r.get(t, "/metrics")
	n := 0
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, `cardvault_server_handshakes_refused_total{reason="`+reason+`"}`) {
			if _, err := fmt.Sscanf(line[strings.LastIndex(line, " "):], "%d", &n); err != nil {
				t.Fatal(err)
			}
		}
	}
	return n
}

// TestConnectionEndsWithItsCertificate keeps a connection open past the end of its certificate.
func TestConnectionEndsWithItsCertificate(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	r := s.serve(t)
	s.certify(t, "brief", devca.Template{URIs: []string{spiffe(tenant, "payments")}, NotAfter: time.Now().Add(3 * time.Second)})
	brief, err := r.greet(t, s.tls(t, "brief"))
	if err != nil {
		t.Fatal(err)
	}
	lasting, err := r.greet(t, s.tls(t, "payments"))
	if err != nil {
		t.Fatal(err)
	}
	if err := hangsUp(brief); err != nil {
		t.Error(err)
	}
	if err := answersPing(lasting); err != nil {
		t.Error("another connection ended with it: ", err)
	}
}

// hangsUp returns nil once the server has closed the connection.
func hangsUp(conn *tls.Conn) error {
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, conn)
	if netErr, ok := err.(net.Error); ok && netErr.Timeout() { //nolint:errorlint // as io.Copy returns it
		return fmt.Errorf("the connection stands after %s", patience)
	}
	return nil
}

// answersPing returns nil where the server still speaks HTTP/2 on the connection.
func answersPing(conn *tls.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WritePing(false, [8]byte{1}); err != nil {
		return err
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return err
		}
		if ping, ok := frame.(*http2.PingFrame); ok && ping.IsAck() {
			return nil
		}
	}
}
