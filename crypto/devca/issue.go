package devca

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/cardvault/cardvault/crypto/secret"
)

// leafLifetime is how long a certificate lasts unless its Template says otherwise.
const leafLifetime = 30 * day

// Template says what to sign. Its zero value is a client certificate without a name, which every server refuses.
type Template struct {
	// URIs are the URI names; a SPIFFE id has exactly one.
	URIs []string
	// Hosts are DNS names and IP addresses. With any, the certificate is a server's, otherwise a client's.
	Hosts []string
	// NotBefore and NotAfter bound its validity. Zero: from now on, for 30 days.
	NotBefore, NotAfter time.Time
}

// Pair is a certificate with its key.
type Pair struct {
	// Cert is the certificate in PEM.
	Cert []byte
	// Key is the private key in PEM (PKCS #8).
	Key secret.Bytes
	// Serial is the certificate's serial number, hexadecimal, as Revoke takes it.
	Serial string
}

// Server signs a certificate for a server that is reached under these DNS names and IP addresses.
func (ca *CA) Server(hosts ...string) (Pair, error) {
	return ca.Issue(Template{Hosts: hosts})
}

// Client signs a certificate for a client with this SPIFFE id.
func (ca *CA) Client(spiffeID string) (Pair, error) {
	return ca.Issue(Template{URIs: []string{spiffeID}})
}

// Issue signs a certificate for a new key as the template says, sensible or not.
func (ca *CA) Issue(t Template) (Pair, error) {
	leaf, err := ca.leaf(t)
	if err != nil {
		return Pair{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("making a key: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca.cert, key.Public(), ca.key)
	if err != nil {
		return Pair{}, fmt.Errorf("signing a certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("encoding a key: %w", err)
	}
	return Pair{
		Cert:   encodePEM("CERTIFICATE", der),
		Key:    secret.New(encodePEM("PRIVATE KEY", keyDER)),
		Serial: leaf.SerialNumber.Text(16),
	}, nil
}

func (ca *CA) leaf(t Template) (*x509.Certificate, error) {
	from := ca.now()
	leaf := &x509.Certificate{
		SerialNumber: newSerial(),
		// The certificate login of HashiCorp Vault takes none without a common name.
		Subject:   pkix.Name{Organization: []string{warning}, CommonName: "cardvault development"},
		NotBefore: cmp.Or(t.NotBefore, from.Add(-backdate)),
		NotAfter:  cmp.Or(t.NotAfter, from.Add(leafLifetime)),
		// X.509-SVID §4.3 and §4.4.
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	for _, text := range t.URIs {
		uri, err := url.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("URI name: %w", err)
		}
		leaf.URIs = append(leaf.URIs, uri)
	}
	for _, host := range t.Hosts {
		leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		if ip := net.ParseIP(host); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, host)
		}
	}
	return leaf, nil
}

// Write puts the pair into dir as name.pem and name.key, readable by their owner alone, in place of what was there.
// A server that reads between the two finds a key that does not fit, keeps its old pair and looks again.
func (p Pair) Write(dir, name string) error {
	if err := replace(filepath.Join(dir, name+".key"), p.Key.Reveal()); err != nil {
		return err
	}
	return replace(filepath.Join(dir, name+".pem"), p.Cert)
}

// replace puts a whole file in place of another: a reader sees the old one or the new one.
func replace(path string, content []byte) error {
	next := path + ".new"
	// What a crash left behind may be of any content and mode.
	if err := os.Remove(next); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := writeNew(next, content); err != nil {
		return err
	}
	return os.Rename(next, path)
}
