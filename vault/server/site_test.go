package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/cardvault/cardvault/crypto/devca"
	"github.com/cardvault/cardvault/crypto/localkek"
	"github.com/cardvault/cardvault/crypto/localsigner"
	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/ledger"
	"github.com/cardvault/cardvault/vault/sqlite"
	"github.com/cardvault/cardvault/vault/vaulttest"
)

// logOrigin names the audit log of every site.
const logOrigin = "prod.example/log"

// site is a whole server on a loopback port: a vault on SQLite, mutual TLS, and
// the authority that makes its clients.
type site struct {
	dir     string
	ca      *devca.CA
	clock   *vaulttest.Clock
	log     *vaulttest.LogBuffer
	signer  *localsigner.Signer
	vault   *vault.Vault
	metrics *Metrics
	server  *Server
	addr    string
	// refused receives the reason of every refused handshake.
	refused chan string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), clock: vaulttest.NewClock(time.Now()), log: &vaulttest.LogBuffer{}, refused: make(chan string, 100)}
	var err error
	if s.ca, err = devca.Create(s.dir, s.clock.Now); err != nil {
		t.Fatal(err)
	}
	s.renew(t)
	s.openVault(t)
	cfg := s.config()
	cfg.Vault, cfg.Metrics = s.vault, s.metrics
	if s.server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	counted := s.server.gate.refusals.counted
	s.server.gate.refusals.counted = func(reason string) {
		counted(reason)
		s.refused <- reason
	}
	s.serve(t)
	return s
}

func (s *site) config() Config {
	return Config{
		TrustDomain: "prod.example", MaxInFlight: 100, Clock: s.clock.Now, Log: slog.New(slog.NewJSONHandler(s.log, nil)),
		CertFile: filepath.Join(s.dir, "server.pem"), KeyFile: filepath.Join(s.dir, "server.key"),
		ClientCAFile: filepath.Join(s.dir, devca.CertFile), CRLFile: filepath.Join(s.dir, devca.CRLFile),
	}
}

func (s *site) openVault(t *testing.T) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(s.dir, "cards.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	kek, err := localkek.Create(filepath.Join(s.dir, "kek"))
	if err != nil {
		t.Fatal(err)
	}
	if s.signer, err = localsigner.Create(filepath.Join(s.dir, "log.key"), logOrigin); err != nil {
		t.Fatal(err)
	}
	policy, err := access.Parse("demo.cedar", access.DemoPolicy())
	if err != nil {
		t.Fatal(err)
	}
	s.metrics = newMetrics(t)
	s.vault, err = vault.New(t.Context(), vault.Config{
		Store: store, KEK: kek, KeyMaxAge: time.Hour, DataCryptoperiod: 365 * 24 * time.Hour, Policy: policy,
		Ledger: ledger.Config{Store: store, Signer: s.signer, Origin: logOrigin},
		Clock:  s.clock.Now, Log: slog.New(slog.NewJSONHandler(s.log, nil)), Meter: s.metrics.Meter(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.vault.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func (s *site) serve(t *testing.T) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(listener) }()
	t.Cleanup(func() {
		// Clients that are still there are cut off: what a test wants to see finished,
		// it waits for.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.server.Stop(ctx)
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// renew gives the server another certificate, on disk.
func (s *site) renew(t *testing.T) devca.Pair {
	t.Helper()
	pair, err := s.ca.Server("localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if err := pair.Write(s.dir, "server"); err != nil {
		t.Fatal(err)
	}
	return pair
}

// client returns a certificate of a principal of the tenant demo.
func (s *site) client(t *testing.T, name string) devca.Pair {
	t.Helper()
	pair, err := s.ca.Client("spiffe://prod.example/tenant/demo/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// staff returns a certificate of one of the deployment's staff.
func (s *site) staff(t *testing.T, name string) devca.Pair {
	t.Helper()
	pair, err := s.ca.Client("spiffe://prod.example/staff/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// tls is a client's side of the connection, with certificates or without.
func (s *site) tls(t *testing.T, pairs ...devca.Pair) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.ca.Cert())
	cfg := &tls.Config{RootCAs: roots, ServerName: "localhost", Time: s.clock.Now, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12}
	for _, pair := range pairs {
		own, err := tls.X509KeyPair(pair.Cert, pair.Key.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		cfg.Certificates = append(cfg.Certificates, own)
	}
	return cfg
}

// dial returns a connection of gRPC as a principal of the tenant demo.
func (s *site) dial(t *testing.T, name string) *grpc.ClientConn {
	t.Helper()
	return s.dialTLS(t, s.tls(t, s.client(t, name)))
}

// dialStaff returns a connection of gRPC as one of the deployment's staff.
func (s *site) dialStaff(t *testing.T, name string) *grpc.ClientConn {
	t.Helper()
	return s.dialTLS(t, s.tls(t, s.staff(t, name)))
}

func (s *site) dialTLS(t *testing.T, cfg *tls.Config) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(s.addr, grpc.WithTransportCredentials(credentials.NewTLS(cfg)), grpc.WithDisableRetry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// ping makes the smallest call there is.
func ping(t *testing.T, conn *grpc.ClientConn) error {
	t.Helper()
	_, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	return err
}

// connect opens a connection without gRPC on top, to see when it is closed.
func (s *site) connect(t *testing.T, cfg *tls.Config) *tls.Conn {
	t.Helper()
	conn, err := (&tls.Dialer{Config: cfg}).DialContext(t.Context(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*tls.Conn)
}

// speakHTTP2 sends what a client begins with, so that gRPC takes the connection
// for one, and waits for its answer: from then on the connection stands.
func speakHTTP2(t *testing.T, conn *tls.Conn) {
	t.Helper()
	emptySettings := []byte{0, 0, 0, 4, 0, 0, 0, 0, 0}
	if _, err := conn.Write(append([]byte(http2.ClientPreface), emptySettings...)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

// waitClosed returns when the server closed the connection.
func waitClosed(t *testing.T, conn *tls.Conn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection still stands")
	}
}
