package devca_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cardvault/cardvault/crypto/devca"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func atNoon() time.Time { return noon }

func create(t *testing.T) (*devca.CA, string) {
	t.Helper()
	dir := t.TempDir()
	ca, err := devca.Create(dir, atNoon)
	if err != nil {
		t.Fatal(err)
	}
	return ca, dir
}

func parse(t *testing.T, pair devca.Pair) *x509.Certificate {
	t.Helper()
	keyed, err := tls.X509KeyPair(pair.Cert, pair.Key.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return keyed.Leaf
}

func verify(ca *devca.CA, leaf *x509.Certificate, usage x509.ExtKeyUsage, at time.Time) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Cert())
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}

func TestServerCertificate(t *testing.T) {
	ca, _ := create(t)
	pair, err := ca.Server("localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	leaf := parse(t, pair)
	if err := verify(ca, leaf, x509.ExtKeyUsageServerAuth, noon); err != nil {
		t.Error(err)
	}
	if err := verify(ca, leaf, x509.ExtKeyUsageClientAuth, noon); err == nil {
		t.Error("a server certificate passes as a client's")
	}
	for _, host := range []string{"localhost", "127.0.0.1"} {
		if err := leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if err := leaf.VerifyHostname("example.org"); err == nil {
		t.Error("good for a host it was not made for")
	}
}

func TestClientCertificate(t *testing.T) {
	const id = "spiffe://dev.cardvault/tenant/demo/issuer"
	ca, _ := create(t)
	pair, err := ca.Client(id)
	if err != nil {
		t.Fatal(err)
	}
	leaf := parse(t, pair)
	if err := verify(ca, leaf, x509.ExtKeyUsageClientAuth, noon); err != nil {
		t.Error(err)
	}
	if err := verify(ca, leaf, x509.ExtKeyUsageServerAuth, noon); err == nil {
		t.Error("a client certificate passes as a server's")
	}
	if len(leaf.URIs) != 1 || leaf.URIs[0].String() != id {
		t.Errorf("URI names %v, want %s alone", leaf.URIs, id)
	}
	if got := leaf.SerialNumber.Text(16); got != pair.Serial {
		t.Errorf("serial %s, the pair says %s", got, pair.Serial)
	}
	if leaf.IsCA || leaf.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Error("a leaf that may sign certificates")
	}
}

func TestEveryCertificateSaysNotForProduction(t *testing.T) {
	ca, _ := create(t)
	pair, err := ca.Client("spiffe://dev.cardvault/tenant/demo/issuer")
	if err != nil {
		t.Fatal(err)
	}
	leaf := parse(t, pair)
	for _, name := range []string{leaf.Subject.String(), leaf.Issuer.String()} {
		if !strings.Contains(name, "NOT FOR PRODUCTION") {
			t.Errorf("%q does not", name)
		}
	}
}

func TestTemplate(t *testing.T) {
	ca, _ := create(t)
	pair, err := ca.Issue(devca.Template{
		URIs:      []string{"spiffe://a/tenant/b/c", "spiffe://a/tenant/b/d"},
		NotBefore: noon.Add(time.Hour),
		NotAfter:  noon.Add(2 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	leaf := parse(t, pair)
	if len(leaf.URIs) != 2 {
		t.Errorf("%d URI names, want 2", len(leaf.URIs))
	}
	for at, valid := range map[int]bool{59: false, 61: true, 119: true, 121: false} {
		err := verify(ca, leaf, x509.ExtKeyUsageClientAuth, noon.Add(time.Duration(at)*time.Minute))
		if (err == nil) != valid {
			t.Errorf("after %d minutes: %v", at, err)
		}
	}
	none, err := ca.Issue(devca.Template{})
	if err != nil {
		t.Fatal(err)
	}
	if uris := parse(t, none).URIs; len(uris) != 0 {
		t.Errorf("URI names %v, want none", uris)
	}
	if _, err := ca.Client("spiffe://%zz"); err == nil {
		t.Error("a malformed URI name was signed")
	}
}

func TestOpenFindsTheSameAuthority(t *testing.T) {
	ca, dir := create(t)
	again, err := devca.Open(dir, atNoon)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := again.Client("spiffe://dev.cardvault/tenant/demo/issuer")
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(ca, parse(t, pair), x509.ExtKeyUsageClientAuth, noon); err != nil {
		t.Error(err)
	}
}

func TestCreateNeverReplaces(t *testing.T) {
	ca, dir := create(t)
	if _, err := devca.Create(dir, atNoon); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v, want that it exists", err)
	}
	again, err := devca.Open(dir, atNoon)
	if err != nil {
		t.Fatal(err)
	}
	if string(again.Cert()) != string(ca.Cert()) {
		t.Error("the authority changed")
	}
}

func TestOpenRefuses(t *testing.T) {
	if _, err := devca.Open(t.TempDir(), atNoon); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("empty folder: error %v, want that it does not exist", err)
	}
	_, dir := create(t)
	_, other := create(t)
	key, err := os.ReadFile(filepath.Join(other, devca.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, devca.KeyFile), key, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := devca.Open(dir, atNoon); !errors.Is(err, devca.ErrNotAuthority) {
		t.Errorf("another's key: error %v, want ErrNotAuthority", err)
	}
}

func TestRevokeKeepsWhatWasRevoked(t *testing.T) {
	ca, dir := create(t)
	if _, err := ca.Revoke("aa"); err != nil {
		t.Fatal(err)
	}
	again, err := devca.Open(dir, atNoon)
	if err != nil {
		t.Fatal(err)
	}
	content, err := again.Revoke("bb", "cc")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(content)
	list, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	var serials []string
	for _, entry := range list.RevokedCertificateEntries {
		serials = append(serials, entry.SerialNumber.Text(16))
	}
	if got := strings.Join(serials, " "); got != "aa bb cc" {
		t.Errorf("revoked %s, want aa bb cc", got)
	}
	if list.Number.Int64() != 3 {
		t.Errorf("list number %d, want 3: one of Create, two of Revoke", list.Number)
	}
	if !list.ThisUpdate.Before(noon) || !list.NextUpdate.After(noon) {
		t.Error("the list is not good now")
	}
	if _, err := ca.Revoke("no number"); err == nil {
		t.Error("revoked what is no serial number")
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	ca, dir := create(t)
	pair, err := ca.Server("localhost")
	if err != nil {
		t.Fatal(err)
	}
	// The second Write replaces a pair that others could read.
	for range 2 {
		if err := pair.Write(dir, "server"); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, "server.key"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := pair.Write(dir, "server"); err != nil {
		t.Fatal(err)
	}
	if _, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 5 {
		t.Errorf("%d files, want ca.pem ca.key crl.pem server.pem server.key", len(entries))
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", entry.Name(), info.Mode())
		}
	}
}

func TestPairHidesItsKey(t *testing.T) {
	ca, _ := create(t)
	pair, err := ca.Server("localhost")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(fmt.Sprintf("%v %+v %s", pair, pair, pair), string(pair.Key.Reveal()[30:60])) {
		t.Error("printing a pair shows its key")
	}
}
