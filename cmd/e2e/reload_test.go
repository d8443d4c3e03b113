package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/cardvault/cardvault/crypto/devca"
	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

// reload has the server look at its files and waits until it has.
func (r *replica) reload(t testing.TB) {
	t.Helper()
	n := strings.Count(r.stderr.String(), `"msg":"reloaded"`)
	r.signal(t, syscall.SIGHUP)
	r.awaitLog(t, `"msg":"reloaded"`, n+1)
}

// reloadRefused has the server look at files that it must not take.
func (r *replica) reloadRefused(t testing.TB, why string) {
	t.Helper()
	const refused = "files refused, the last good ones stay in use"
	n := strings.Count(r.stderr.String(), refused)
	r.signal(t, syscall.SIGHUP)
	if line := r.awaitLog(t, refused, n+1); !strings.Contains(line, why) {
		t.Errorf("refused for another reason than %q: %s", why, line)
	}
}

// shown returns the serial number of the certificate that the server shows.
func (r *replica) shown(t testing.TB) string {
	t.Helper()
	conn, err := r.greet(t, r.site.tls(t, "support"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Text(16)
}

// TestServerCertificateChangesWithoutRestart renews the server's certificate while a client is connected.
func TestServerCertificateChangesWithoutRestart(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	r := s.serve(t)
	before := r.shown(t)
	connected, err := r.greet(t, s.tls(t, "payments"))
	if err != nil {
		t.Fatal(err)
	}

	next := s.certify(t, "server", devca.Template{Hosts: []string{"localhost", "127.0.0.1"}})
	r.reload(t)
	if got := r.shown(t); got != next.Serial || got == before {
		t.Errorf("the server shows %s, want %s", got, next.Serial)
	}
	if err := answersPing(connected); err != nil {
		t.Error("who was connected: ", err)
	}

	// Half written, and another's key: the last good pair stays.
	s.write(t, "server.pem", s.read(t, "server.pem")[:200])
	r.reloadRefused(t, "server certificate")
	if got := r.shown(t); got != next.Serial {
		t.Errorf("the server shows %s after files that it refused", got)
	}
}

// TestRevokedClientIsCutOff puts a certificate on the revocation list while its client is connected.
func TestRevokedClientIsCutOff(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	r := s.serve(t)
	r.as(t, "security").createRange(t, "debit", "90000000")
	token := r.as(t, "issuer").issue(t).GetToken()
	stolen := s.certify(t, "stolen", devca.Template{URIs: []string{spiffe(tenant, "payments")}})
	first := s.read(t, "crl.pem")
	thief, payments := r.as(t, "stolen"), r.as(t, "payments")
	pan := thief.mustReveal(t, token)
	open, err := r.greet(t, s.tls(t, "stolen"))
	if err != nil {
		t.Fatal(err)
	}
	honest, err := r.greet(t, s.tls(t, "payments"))
	if err != nil {
		t.Fatal(err)
	}

	if _, err := s.ca.Revoke(stolen.Serial); err != nil {
		t.Fatal(err)
	}
	r.reload(t)
	if err := hangsUp(open); err != nil {
		t.Error("the open connection of a revoked client: ", err)
	}
	if got, err := thief.reveal(t.Context(), token); got != "" || err == nil {
		t.Error("a revoked client was answered")
	}
	if _, err := r.greet(t, s.tls(t, "stolen")); err == nil {
		t.Error("a revoked client was let in again")
	}
	s.cli(t, r, "stolen", "detokenize", token, "--purpose", "settlement", "--view", "full").must(t, exitDenied).says(t, "NOT_AUTHENTICATED")
	if err := payments.opensTo(t.Context(), token, pan); err != nil {
		t.Error("another client: ", err)
	}
	if err := answersPing(honest); err != nil {
		t.Error("another client's connection: ", err)
	}

	// The list of before would let the thief in again.
	s.write(t, "crl.pem", first)
	r.reloadRefused(t, "older than the one in use")
	if _, err := r.greet(t, s.tls(t, "stolen")); err == nil {
		t.Error("a revoked client was let in after its list was rolled back")
	}
}

// TestPolicyChangesWithoutRestart edits the policy file, well and badly, with a signal and without.
func TestPolicyChangesWithoutRestart(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	r := s.serve(t)
	r.as(t, "security").createRange(t, "debit", "90000000")
	token := r.as(t, "issuer").issue(t).GetToken()
	support := r.as(t, "support")
	masked := func() error {
		_, err := support.cards.DetokenizeCard(t.Context(), &cardvaultv1.DetokenizeCardRequest{
			Token: token, Purpose: "support", View: cardvaultv1.View_VIEW_MASKED,
		})
		return err
	}
	want(t, "before", masked(), "PERMISSION_DENIED")

	policy := s.read(t, "policy.cedar")
	s.write(t, "policy.cedar", policy+`
@id("support-masked")
permit (principal, action == Action::"DetokenizeCard", resource)
when { principal.name == "support" && context.view == View::"MASKED" };`)
	r.reload(t)
	want(t, "with a permit", masked(), "")

	s.write(t, "policy.cedar", "permit (")
	r.reloadRefused(t, "policy.cedar")
	want(t, "with a broken file", masked(), "")

	// Without a signal the server finds the change by itself.
	s.write(t, "policy.cedar", policy)
	eventually(t, "the permit is taken away", func() error {
		if got := reason(masked()); got != "PERMISSION_DENIED" {
			return fmt.Errorf("answer %q", got)
		}
		return nil
	})
}
