package server

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/cardvault/cardvault/crypto/devca"
)

// servedSerial returns the serial number of the certificate that the server shows.
func (s *site) servedSerial(t *testing.T) string {
	t.Helper()
	conn := s.connect(t, s.tls(t, s.client(t, "issuer")))
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Text(16)
}

func TestNewCertificateIsServedAfterReload(t *testing.T) {
	s := newSite(t)
	standing := s.dial(t, "issuer")
	if err := ping(t, standing); err != nil {
		t.Fatal(err)
	}
	pair := s.renew(t)
	if got := s.servedSerial(t); got == pair.Serial {
		t.Fatal("served before it was loaded")
	}
	if err := s.server.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := s.servedSerial(t); got != pair.Serial {
		t.Errorf("serves %s, want the new certificate %s", got, pair.Serial)
	}
	if err := ping(t, standing); err != nil {
		t.Errorf("a connection from before: %v", err)
	}
}

// TestLastGoodFilesStay: whatever is wrong with a file, the server goes on as it
// was, and says so.
func TestLastGoodFilesStay(t *testing.T) {
	s := newSite(t)
	before := s.servedSerial(t)
	other, err := devca.Create(t.TempDir(), s.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	foreignCRL, err := other.Revoke()
	if err != nil {
		t.Fatal(err)
	}
	expired, err := s.ca.Issue(devca.Template{Hosts: []string{"localhost"}, NotBefore: s.clock.Now().Add(-2 * time.Hour), NotAfter: s.clock.Now().Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		t.Helper()
		content, err := os.ReadFile(filepath.Join(s.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	crl, ca := read(devca.CRLFile), read(devca.CertFile)
	tests := map[string]map[string]string{
		"certificate gone":           {"server.pem": ""},
		"certificate of another key": {"server.pem": string(expired.Cert)},
		"certificate expired":        {"server.pem": string(expired.Cert), "server.key": string(expired.Key.Reveal())},
		"authorities gone":           {devca.CertFile: ""},
		"authority cut short":        {devca.CertFile: ca + ca[:len(ca)/2]},
		"authority damaged":          {devca.CertFile: strings.Replace(ca, "MII", "MIJ", 1)},
		"list gone":                  {devca.CRLFile: ""},
		"list cut short":             {devca.CRLFile: crl[:len(crl)/2]},
		"list damaged":               {devca.CRLFile: damaged(t, crl)},
		"list of a stranger":         {devca.CRLFile: string(foreignCRL)},
		"list twice":                 {devca.CRLFile: crl + crl},
	}
	for name, files := range tests {
		t.Run(name, func(t *testing.T) {
			for file, content := range files {
				good := read(file)
				write(t, filepath.Join(s.dir, file), content)
				defer write(t, filepath.Join(s.dir, file), good)
			}
			if err := s.server.Reload(); err == nil {
				t.Error("loaded")
			}
			if got := s.servedSerial(t); got != before {
				t.Errorf("serves %s, want still %s", got, before)
			}
		})
	}
	if err := s.server.Reload(); err != nil {
		t.Errorf("the good files again: %v", err)
	}
}

// damaged flips the last bit of a PEM block's content: of a list, its signature.
func damaged(t *testing.T, text string) string {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	block.Bytes[len(block.Bytes)-1] ^= 1
	return string(pem.EncodeToMemory(block))
}

func TestRevocationEndsConnections(t *testing.T) {
	s := newSite(t)
	bad, good := s.client(t, "issuer"), s.client(t, "payments")
	ending, standing := s.connect(t, s.tls(t, bad)), s.dialTLS(t, s.tls(t, good))
	if err := ping(t, standing); err != nil {
		t.Fatal(err)
	}
	speakHTTP2(t, ending)
	s.revoke(t, bad.Serial)
	waitClosed(t, ending)
	if err := ping(t, s.dialTLS(t, s.tls(t, bad))); status.Code(err) != codes.Unavailable {
		t.Fatalf("a new connection: error %v, want UNAVAILABLE", err)
	}
	if reason := <-s.refused; reason != "revoked" {
		t.Errorf("counted as %q", reason)
	}
	if err := ping(t, standing); err != nil {
		t.Errorf("another's connection: %v", err)
	}
}

// TestOlderListIsRefused: played back, it would let in again who was revoked.
func TestOlderListIsRefused(t *testing.T) {
	s := newSite(t)
	older, err := os.ReadFile(filepath.Join(s.dir, devca.CRLFile))
	if err != nil {
		t.Fatal(err)
	}
	bad := s.client(t, "issuer")
	s.revoke(t, bad.Serial)
	write(t, filepath.Join(s.dir, devca.CRLFile), string(older))
	if err := s.server.Reload(); err == nil {
		t.Error("loaded")
	}
	if err := ping(t, s.dialTLS(t, s.tls(t, bad))); status.Code(err) != codes.Unavailable {
		t.Fatalf("error %v, want UNAVAILABLE", err)
	}
}

// TestStaleListLetsNobodyIn: after its end a list says nothing about anyone, on
// open connections neither, until there is a fresh one.
func TestStaleListLetsNobodyIn(t *testing.T) {
	s := newSite(t)
	template := devca.Template{URIs: []string{issuerID}, NotAfter: s.clock.Now().Add(365 * 24 * time.Hour)}
	pair, err := s.ca.Issue(template)
	if err != nil {
		t.Fatal(err)
	}
	server, err := s.ca.Issue(devca.Template{Hosts: []string{"localhost"}, NotAfter: template.NotAfter})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Write(s.dir, "server"); err != nil {
		t.Fatal(err)
	}
	if err := s.server.Reload(); err != nil {
		t.Fatal(err)
	}
	standing := s.dialTLS(t, s.tls(t, pair))
	if err := ping(t, standing); err != nil {
		t.Fatal(err)
	}
	s.clock.Advance(31 * 24 * time.Hour)
	if err := ping(t, standing); status.Code(err) != codes.Unauthenticated {
		t.Errorf("open connection: error %v, want UNAUTHENTICATED", err)
	}
	if err := ping(t, s.dialTLS(t, s.tls(t, pair))); status.Code(err) != codes.Unavailable {
		t.Fatalf("new connection: error %v, want UNAVAILABLE", err)
	}
	if reason := <-s.refused; reason != "revocation_unknown" {
		t.Errorf("counted as %q", reason)
	}
	s.revoke(t)
	if err := ping(t, standing); err != nil {
		t.Errorf("with a fresh list: %v", err)
	}
}

// TestDistrustedAuthorityEndsConnections: taking an authority out of the file
// works like revoking all that it signed.
func TestDistrustedAuthorityEndsConnections(t *testing.T) {
	s := newSite(t)
	ending := s.connect(t, s.tls(t, s.client(t, "issuer")))
	speakHTTP2(t, ending)
	dir := t.TempDir()
	other, err := devca.Create(dir, s.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	crl, err := other.Revoke()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(s.dir, devca.CertFile), string(other.Cert()))
	write(t, filepath.Join(s.dir, devca.CRLFile), string(crl))
	if err := s.server.Reload(); err != nil {
		t.Fatal(err)
	}
	waitClosed(t, ending)
	pair, err := other.Client(issuerID)
	if err != nil {
		t.Fatal(err)
	}
	if err := ping(t, s.dialTLS(t, s.tls(t, pair))); err != nil {
		t.Errorf("a client of the new authority: %v", err)
	}
}

// TestExpiredCertificateMakesNoCall: even if its connection still stands.
func TestExpiredCertificateMakesNoCall(t *testing.T) {
	s := newSite(t)
	pair, err := s.ca.Issue(devca.Template{URIs: []string{issuerID}, NotAfter: s.clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	conn := s.dialTLS(t, s.tls(t, pair))
	if err := ping(t, conn); err != nil {
		t.Fatal(err)
	}
	s.clock.Advance(time.Hour)
	if err := ping(t, conn); status.Code(err) != codes.Unauthenticated {
		t.Errorf("error %v, want UNAUTHENTICATED", err)
	}
	stream, err := healthpb.NewHealthClient(conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("a stream: error %v, want UNAUTHENTICATED", err)
	}
	err = conn.Invoke(t.Context(), "/x/y", &emptypb.Empty{}, &emptypb.Empty{})
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("a method that does not exist: error %v, want UNAUTHENTICATED", err)
	}
}
