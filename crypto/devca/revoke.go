package devca

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
)

// crlLifetime is how long a revocation list is good for. Revoke makes a fresh one.
const crlLifetime = 30 * day

// Revoke adds certificates, by serial number, to the revocation list, writes it to [CRLFile] and returns it in PEM. It
// lists every certificate ever revoked. Without serials it renews the list.
func (ca *CA) Revoke(serials ...string) ([]byte, error) {
	ca.revoking.Lock()
	defer ca.revoking.Unlock()

	path := filepath.Join(ca.dir, CRLFile)
	list, err := ca.readCRL(path)
	if err != nil {
		return nil, err
	}
	now := ca.now()
	for _, serial := range serials {
		number, ok := new(big.Int).SetString(serial, 16)
		if !ok {
			return nil, errors.New("serial: want a hexadecimal number")
		}
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: number, RevocationTime: now})
	}
	list.Number.Add(list.Number, big.NewInt(1)) // RFC 5280 §5.2.3: each list has a higher number
	list.ThisUpdate, list.NextUpdate = now.Add(-backdate), now.Add(crlLifetime)
	der, err := x509.CreateRevocationList(rand.Reader, list, ca.cert, ca.key)
	if err != nil {
		return nil, fmt.Errorf("signing the revocation list: %w", err)
	}
	content := encodePEM("X509 CRL", der)
	return content, replace(path, content)
}

// readCRL returns number and entries of the list so far, none where there is no list.
func (ca *CA) readCRL(path string) (*x509.RevocationList, error) {
	der, err := readPEM(path, "X509 CRL")
	if errors.Is(err, os.ErrNotExist) {
		return &x509.RevocationList{Number: new(big.Int)}, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", CRLFile, err)
	}
	if err := list.CheckSignatureFrom(ca.cert); err != nil {
		return nil, fmt.Errorf("%s: %w", CRLFile, err)
	}
	return &x509.RevocationList{Number: list.Number, RevokedCertificateEntries: list.RevokedCertificateEntries}, nil
}
