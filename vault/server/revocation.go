package server

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Why a certificate is refused after its signature was found good.
var (
	errRevoked  = errors.New("client certificate is revoked")
	errNoCRL    = errors.New("no revocation list of the client certificate's issuer")
	errStaleCRL = errors.New("the revocation list has ended; without a fresh one nobody is let in")
)

// crl is the revocation list of one authority.
type crl struct {
	number  *big.Int
	from    time.Time
	until   time.Time
	revoked map[string]struct{} // by serial number, big-endian
}

// crls are the revocation lists in force, by the authority they are of. The nil
// crls checks nothing: the server was configured without a list. With any, an
// authority whose list is missing or has ended is one that nobody can vouch for,
// and its certificates are refused (RFC 5280 §6.3.3 leaves them undetermined).
type crls map[authority]crl

// authority tells authorities apart by name and key, so that a list speaks for
// the key that signed it alone.
type authority string

func authorityOf(cert *x509.Certificate) authority {
	return authority(cert.RawSubject) + authority(cert.RawSubjectPublicKeyInfo)
}

// parseCRLs takes lists in PEM, one for each authority at most, each signed by one
// of the anchors and good at now.
func parseCRLs(content []byte, anchors []*x509.Certificate, now time.Time) (crls, error) {
	blocks, err := decodePEM(content, "X509 CRL")
	if err != nil {
		return nil, err
	}
	lists := make(crls, len(blocks))
	for _, der := range blocks {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return nil, fmt.Errorf("parse: %w", err)
		}
		issuer, err := signerOf(list, anchors)
		if err != nil {
			return nil, err
		}
		if _, twice := lists[issuer]; twice {
			return nil, errors.New("two lists of one authority")
		}
		if lists[issuer], err = newCRL(list); err != nil {
			return nil, err
		}
		if !lists[issuer].goodAt(now) {
			return nil, errStaleCRL
		}
	}
	return lists, nil
}

func signerOf(list *x509.RevocationList, anchors []*x509.Certificate) (authority, error) {
	for _, anchor := range anchors {
		if string(anchor.RawSubject) == string(list.RawIssuer) && list.CheckSignatureFrom(anchor) == nil {
			return authorityOf(anchor), nil
		}
	}
	return "", errors.New("a list that none of the client authorities signed")
}

func newCRL(list *x509.RevocationList) (crl, error) {
	// RFC 5280 §5.2: a list with a critical extension that is not understood, such as
	// one that covers some certificates only, must not be used to say who is good.
	for _, extension := range list.Extensions {
		if extension.Critical {
			return crl{}, errors.New("a list with a critical extension, such as a partial or delta list")
		}
	}
	if list.Number == nil {
		return crl{}, errors.New("a list without a number")
	}
	revoked := make(map[string]struct{}, len(list.RevokedCertificateEntries))
	for _, entry := range list.RevokedCertificateEntries {
		revoked[string(entry.SerialNumber.Bytes())] = struct{}{}
	}
	return crl{number: list.Number, from: list.ThisUpdate, until: list.NextUpdate, revoked: revoked}, nil
}

// goodAt is false for ever where a list names no end (RFC 5280 §5.1.2.5 demands one).
func (c crl) goodAt(now time.Time) bool { return now.Before(c.until) }

// check refuses chains that hold a revoked certificate. Verification may find
// several chains for one certificate; one that passes is enough.
func (c crls) check(chains [][]*x509.Certificate, now time.Time) error {
	if c == nil {
		return nil
	}
	err := errNoCRL
	for _, chain := range chains {
		if err = c.checkChain(chain, now); err == nil {
			return nil
		}
	}
	return err
}

func (c crls) checkChain(chain []*x509.Certificate, now time.Time) error {
	for i := range len(chain) - 1 {
		list, ok := c[authorityOf(chain[i+1])]
		if !ok {
			return errNoCRL
		}
		if _, revoked := list.revoked[string(chain[i].SerialNumber.Bytes())]; revoked {
			return errRevoked
		}
		if !list.goodAt(now) {
			return errStaleCRL
		}
	}
	return nil
}

// follows refuses to go back to an older list: played back, it would let in again
// whom a newer one turned away (RFC 5280 §5.2.3).
func (c crls) follows(before crls) error {
	for issuer, list := range c {
		if old, ok := before[issuer]; ok && list.number.Cmp(old.number) < 0 {
			return errors.New("a list that is older than the one in use")
		}
	}
	return nil
}

// bounds returns when the oldest list was made and when the first one ends, zero
// without lists.
func (c crls) bounds() (from, until time.Time) {
	for _, list := range c {
		if from.IsZero() || list.from.Before(from) {
			from = list.from
		}
		if until.IsZero() || list.until.Before(until) {
			until = list.until
		}
	}
	return from, until
}
