package server

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardvault/cardvault/crypto/devca"
)

// TestConnectionEndsWithItsCertificate runs in a bubble of its own time: the
// connection is closed when its certificate expires, not a second earlier or later.
func TestConnectionEndsWithItsCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, g := openGate(t)
		end := time.Now().Add(90 * time.Minute).Truncate(time.Second)
		pair, err := ca.Issue(devca.Template{URIs: []string{issuerID}, NotAfter: end})
		if err != nil {
			t.Fatal(err)
		}
		client := letIn(t, g, clientTLS(t, ca, pair))
		_, err = client.Read(make([]byte, 1))
		if now := time.Now(); err == nil || !now.Equal(end) {
			t.Errorf("read ended with %v at %v, want the certificate's end, %v", err, now, end)
		}
		synctest.Wait()
		if n := g.connections(); n != 0 {
			t.Errorf("%d connections stand, want none", n)
		}
	})
}

// TestClosedConnectionIsForgotten: the gate keeps nothing of connections that
// their clients ended.
func TestClosedConnectionIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, g := openGate(t)
		pair, err := ca.Client(issuerID)
		if err != nil {
			t.Fatal(err)
		}
		client := letIn(t, g, clientTLS(t, ca, pair))
		_ = client.Close()
		synctest.Wait()
		if n := g.connections(); n != 0 {
			t.Errorf("%d connections stand, want none", n)
		}
	})
}

// TestFilesLoadedDuringAHandshake: a list that comes into force between a
// client's verification and its entry applies to it.
func TestFilesLoadedDuringAHandshake(t *testing.T) {
	ca, err := devca.Create(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(time.Now, slog.New(slog.DiscardHandler), func(string) {})
	files := tlsFiles(t, ca)
	if err := g.load(files, mustDomain(t)); err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Client(issuerID)
	if err != nil {
		t.Fatal(err)
	}
	revoked, err := ca.Revoke(pair.Serial)
	if err != nil {
		t.Fatal(err)
	}
	before := g.trust.Load()
	verify := before.config.VerifyConnection
	before.config.VerifyConnection = func(state tls.ConnectionState) error {
		if err := verify(state); err != nil {
			return err
		}
		return g.load([][]byte{files[0], files[1], files[2], revoked}, mustDomain(t))
	}
	near, far := net.Pipe()
	handshake := make(chan error, 1)
	go func() {
		_, _, err := g.ServerHandshake(far)
		handshake <- err
	}()
	client := tls.Client(near, clientTLS(t, ca, pair))
	_, _ = io.Copy(io.Discard, client) // until the server has decided
	if err := <-handshake; err == nil {
		t.Error("let in")
	}
	if n := g.connections(); n != 0 {
		t.Errorf("%d connections stand, want none", n)
	}
}

// openGate is a gate that takes the clients of a new authority.
func openGate(t *testing.T) (*devca.CA, *gate) {
	t.Helper()
	ca, err := devca.Create(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(time.Now, slog.New(slog.DiscardHandler), func(string) {})
	if err := g.load(tlsFiles(t, ca), mustDomain(t)); err != nil {
		t.Fatal(err)
	}
	return ca, g
}

// letIn connects a client, for which the server does nothing but wait, and returns
// its end of the one connection that stands. It is for a bubble of synctest.
func letIn(t *testing.T, g *gate, config *tls.Config) *tls.Conn {
	t.Helper()
	near, far := net.Pipe()
	go func() {
		conn, _, err := g.ServerHandshake(far)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}()
	client := tls.Client(near, config)
	if err := client.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	if n := g.connections(); n != 1 {
		t.Errorf("%d connections stand, want 1", n)
	}
	return client
}

func tlsFiles(t *testing.T, ca *devca.CA) [][]byte {
	t.Helper()
	own, err := ca.Server("localhost")
	if err != nil {
		t.Fatal(err)
	}
	list, err := ca.Revoke()
	if err != nil {
		t.Fatal(err)
	}
	return [][]byte{own.Cert, own.Key.Reveal(), ca.Cert(), list}
}

func clientTLS(t *testing.T, ca *devca.CA, pair devca.Pair) *tls.Config {
	t.Helper()
	own, err := tls.X509KeyPair(pair.Cert, pair.Key.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Cert())
	return &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: "localhost", Time: time.Now,
		NextProtos: []string{"h2"}, Certificates: []tls.Certificate{own},
	}
}

// TestStrangersCannotFillTheLog: every refusal is counted, but only some are
// written down.
func TestStrangersCannotFillTheLog(t *testing.T) {
	var log bytes.Buffer
	counted := 0
	r := newRefusals(slog.New(slog.NewTextHandler(&log, nil)), func(string) { counted++ })
	for range 1000 {
		r.record(&net.TCPAddr{}, errRevoked)
	}
	if counted != 1000 {
		t.Errorf("counted %d of 1000", counted)
	}
	if n := bytes.Count(log.Bytes(), []byte("\n")); n == 0 || n > 100 {
		t.Errorf("%d lines in the log, want a few", n)
	}
}

func TestPortChecksAreNoRefusals(t *testing.T) {
	r := newRefusals(slog.New(slog.DiscardHandler), func(reason string) { t.Errorf("counted as %q", reason) })
	r.record(&net.TCPAddr{}, io.EOF)
}
