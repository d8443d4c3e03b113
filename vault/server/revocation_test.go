package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// signer is an authority that signs whatever a test needs.
type signer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newSigner is an authority under another one, or a root under none.
func newSigner(t *testing.T, name string, above *signer) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(name))), Subject: pkix.Name{CommonName: name},
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(100 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true,
	}
	s := &signer{template, key}
	if above == nil {
		above = s
	}
	s.cert = above.sign(t, template, key)
	return s
}

func (s *signer) sign(t *testing.T, template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, s.cert, key.Public(), s.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// leaf is a client certificate with a serial number.
func (s *signer) leaf(t *testing.T, serial int64) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(50 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, key)
}

// crl is a revocation list, in PEM, that spoil may change before it is signed.
func (s *signer) crl(t *testing.T, spoil func(*x509.RevocationList), serials ...int64) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(7), ThisUpdate: noon.Add(-time.Hour), NextUpdate: noon.Add(time.Hour)}
	for _, serial := range serials {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: noon})
	}
	if spoil != nil {
		spoil(list)
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, s.cert, s.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

func TestRevocationLists(t *testing.T) {
	root := newSigner(t, "root", nil)
	issuing := newSigner(t, "issuing", root)
	leaf := issuing.leaf(t, 5)
	chain := []*x509.Certificate{leaf, issuing.cert, root.cert}
	anchors := []*x509.Certificate{root.cert, issuing.cert}
	tests := map[string]struct {
		lists [][]byte
		chain []*x509.Certificate
		want  error
	}{
		"nothing revoked":                   {[][]byte{root.crl(t, nil), issuing.crl(t, nil)}, chain, nil},
		"others revoked":                    {[][]byte{root.crl(t, nil, 5), issuing.crl(t, nil, 4, 6)}, chain, nil},
		"leaf revoked":                      {[][]byte{root.crl(t, nil), issuing.crl(t, nil, 4, 5)}, chain, errRevoked},
		"issuing authority revoked":         {[][]byte{root.crl(t, nil, 7), issuing.crl(t, nil)}, chain, errRevoked},
		"no list of the leaf's issuer":      {[][]byte{root.crl(t, nil)}, chain, errNoCRL},
		"no list of the root":               {[][]byte{issuing.crl(t, nil)}, chain, errNoCRL},
		"the issuing authority is anchor":   {[][]byte{issuing.crl(t, nil)}, chain[:2], nil},
		"revoked, the issuing is anchor":    {[][]byte{issuing.crl(t, nil, 5)}, chain[:2], errRevoked},
		"no list, the issuing is an anchor": {[][]byte{root.crl(t, nil)}, chain[:2], errNoCRL},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			lists, err := parseCRLs(slices.Concat(tt.lists...), anchors, noon)
			if err != nil {
				t.Fatal(err)
			}
			if err := lists.check([][]*x509.Certificate{tt.chain}, noon); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestOneGoodChainIsEnough(t *testing.T) {
	root := newSigner(t, "root", nil)
	issuing := newSigner(t, "issuing", root)
	leaf := issuing.leaf(t, 5)
	lists, err := parseCRLs(issuing.crl(t, nil), []*x509.Certificate{root.cert, issuing.cert}, noon)
	if err != nil {
		t.Fatal(err)
	}
	long, short := []*x509.Certificate{leaf, issuing.cert, root.cert}, []*x509.Certificate{leaf, issuing.cert}
	if err := lists.check([][]*x509.Certificate{long, short}, noon); err != nil {
		t.Errorf("a chain that passes, second: %v", err)
	}
	if err := lists.check(nil, noon); err == nil {
		t.Error("no chain passed")
	}
}

func TestListEnds(t *testing.T) {
	root := newSigner(t, "root", nil)
	chains := [][]*x509.Certificate{{root.leaf(t, 5), root.cert}}
	lists, err := parseCRLs(root.crl(t, nil), []*x509.Certificate{root.cert}, noon)
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]error{0: nil, time.Hour - 1: nil, time.Hour: errStaleCRL, 9 * time.Hour: errStaleCRL} {
		if err := lists.check(chains, noon.Add(after)); !errors.Is(err, want) {
			t.Errorf("after %v: error %v, want %v", after, err, want)
		}
	}
}

func TestListsThatMustNotBeUsed(t *testing.T) {
	root, stranger := newSigner(t, "root", nil), newSigner(t, "stranger", nil)
	namesake := newSigner(t, "root", nil)
	anchors := []*x509.Certificate{root.cert}
	// RFC 5280 §5.2.5: a list for some certificates only; the extension is critical.
	partial := func(list *x509.RevocationList) {
		list.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 0}}}
	}
	ended := func(list *x509.RevocationList) { list.NextUpdate = noon }
	whole := root.crl(t, nil)
	for name, content := range map[string][]byte{
		"empty":             nil,
		"text":              []byte("no revocations today"),
		"partial":           root.crl(t, partial),
		"ended":             root.crl(t, ended),
		"of a stranger":     stranger.crl(t, nil),
		"of a namesake":     namesake.crl(t, nil),
		"with a stranger's": slices.Concat(whole, stranger.crl(t, nil)),
		"twice":             slices.Concat(whole, whole),
		"cut short":         slices.Concat(whole, whole[:len(whole)/2]),
		"certificate":       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.cert.Raw}),
		"not DER":           pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: []byte("list")}),
	} {
		if _, err := parseCRLs(content, anchors, noon); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := parseCRLs(slices.Concat([]byte("issued by root\n"), whole), anchors, noon); err != nil {
		t.Errorf("a comment above the list: %v", err)
	}
}

func TestNoListsCheckNothing(t *testing.T) {
	var none crls
	if err := none.check(nil, noon); err != nil {
		t.Error(err)
	}
	if _, until := none.bounds(); !until.IsZero() {
		t.Errorf("ends at %v", until)
	}
}

func TestEndOfChains(t *testing.T) {
	at := func(hours ...int) []*x509.Certificate {
		var chain []*x509.Certificate
		for _, h := range hours {
			chain = append(chain, &x509.Certificate{NotAfter: noon.Add(time.Duration(h) * time.Hour)})
		}
		return chain
	}
	for want, chains := range map[int][][]*x509.Certificate{
		2: {at(2, 5, 9)}, 3: {at(7, 3, 9)}, 4: {at(6, 5, 4)}, 6: {at(6, 1), at(6, 9)},
	} {
		if got := endOf(chains); !got.Equal(noon.Add(time.Duration(want) * time.Hour)) {
			t.Errorf("ends at %v, want %d hours after noon", got, want)
		}
	}
}
