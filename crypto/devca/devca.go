// Package devca is a certificate authority for a laptop and for tests. It is NOT FOR PRODUCTION, and every certificate
// says so: its key lies unencrypted beside its certificates, and it signs whatever it is asked to.
//
// A folder holds one authority: its certificate in [CertFile], its key in [KeyFile] and its revocation list in
// [CRLFile], all readable by their owner alone. The certificates it signs follow the SPIFFE X.509-SVID profile: a client
// has its SPIFFE id as the one URI name. [CA.Issue] can break that profile, because a server must be shown certificates
// that it has to turn away.
package devca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// The files of an authority's folder.
const (
	CertFile = "ca.pem"
	KeyFile  = "ca.key"
	CRLFile  = "crl.pem"
)

const (
	warning = "NOT FOR PRODUCTION"
	// caLifetime is long: a laptop's folder is opened again years later.
	caLifetime = 10 * 365 * 24 * time.Hour
	// backdate lets a certificate be used at once where another machine's clock is behind.
	backdate = 5 * time.Minute
	day      = 24 * time.Hour
)

// ErrNotAuthority is returned by [Open] if the folder's certificate and key are not an authority that this package made.
var ErrNotAuthority = errors.New("not a development certificate authority")

// CA is a certificate authority. Its methods are safe for concurrent use within one process.
type CA struct {
	dir  string
	now  func() time.Time
	cert *x509.Certificate
	key  *ecdsa.PrivateKey

	revoking sync.Mutex // one revocation list at a time: it is read, extended and written
}

// Create makes a new authority in dir, which must exist, together with an empty revocation list. It never replaces an
// authority: where dir has one, the error is [os.ErrExist].
func Create(dir string, now func() time.Time) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the authority's key: %w", err)
	}
	from := now().Add(-backdate)
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               pkix.Name{Organization: []string{warning}, CommonName: "cardvault development CA, " + warning},
		NotBefore:             from,
		NotAfter:              from.Add(caLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("signing the authority's certificate: %w", err)
	}
	if err := writeAuthority(dir, der, key); err != nil {
		return nil, err
	}
	ca, err := Open(dir, now)
	if err != nil {
		return nil, err
	}
	_, err = ca.Revoke()
	return ca, err
}

// Open opens the authority that [Create] made in dir. The error is [os.ErrNotExist] if there is none.
func Open(dir string, now func() time.Time) (*CA, error) {
	certDER, err := readPEM(filepath.Join(dir, CertFile), "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(certDER)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", CertFile, err)
	}
	keyDER, err := readPEM(filepath.Join(dir, KeyFile), "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keyDER)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", KeyFile, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(cert.PublicKey) || !isDevelopment(cert) {
		return nil, ErrNotAuthority
	}
	return &CA{dir: dir, now: now, cert: cert, key: key}, nil
}

// Cert returns the authority's certificate in PEM: what servers and clients trust.
func (ca *CA) Cert() []byte { return encodePEM("CERTIFICATE", ca.cert.Raw) }

// isDevelopment keeps this package from signing with a key that somebody put there and that others trust.
func isDevelopment(cert *x509.Certificate) bool {
	return len(cert.Subject.Organization) == 1 && cert.Subject.Organization[0] == warning
}

// newSerial returns 127 random bits: positive, and never the same twice (RFC 5280 §4.1.2.2 allows 20 octets).
func newSerial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b[:])
}

func writeAuthority(dir string, certDER []byte, key *ecdsa.PrivateKey) error {
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding the authority's key: %w", err)
	}
	// The key goes first and must be new: two Creates at once leave one authority, not the key of one and the
	// certificate of the other.
	if err := writeNew(filepath.Join(dir, KeyFile), encodePEM("PRIVATE KEY", keyDER)); err != nil {
		return err
	}
	return writeNew(filepath.Join(dir, CertFile), encodePEM("CERTIFICATE", certDER))
}

func writeNew(path string, content []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.Write(content)
	return err
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// readPEM returns the one block of a file, which must be of the kind.
func readPEM(path, kind string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(content)
	if block == nil || block.Type != kind || len(rest) != 0 {
		return nil, fmt.Errorf("%s: want one PEM block %q", filepath.Base(path), kind)
	}
	return block.Bytes, nil
}
