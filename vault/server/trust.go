package server

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// trust is what one set of TLS files says: who this server is, whose certificates
// it takes, and which of them were revoked. It never changes; new files make a new
// one.
type trust struct {
	domain spiffeid.TrustDomain
	clock  func() time.Time
	own    tls.Certificate
	roots  *x509.CertPool
	crls   crls
	// from is when the oldest revocation list was made, until when the first one
	// ends; zero without lists.
	from, until time.Time
	config      *tls.Config
}

// newTrust takes certificate, key, client authorities and, where there is a
// fourth, revocation lists, all in PEM. Errors name the file by its part.
func newTrust(contents [][]byte, domain spiffeid.TrustDomain, clock func() time.Time) (*trust, error) {
	t := &trust{domain: domain, clock: clock}
	now := clock()
	var err error
	if t.own, err = parseOwn(contents[0], contents[1], now); err != nil {
		return nil, fmt.Errorf("server certificate: %w", err)
	}
	anchors, err := parseAuthorities(contents[2])
	if err != nil {
		return nil, fmt.Errorf("client authorities: %w", err)
	}
	t.roots = x509.NewCertPool()
	for _, anchor := range anchors {
		t.roots.AddCert(anchor)
	}
	if len(contents) > 3 {
		if t.crls, err = parseCRLs(contents[3], anchors, now); err != nil {
			return nil, fmt.Errorf("revocation lists: %w", err)
		}
		t.from, t.until = t.crls.bounds()
	}
	t.config = t.tlsConfig()
	return t, nil
}

func (t *trust) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{t.own},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    t.roots,
		Time:         t.clock,
		// A resumed session would skip the verification of a certificate that was
		// revoked or distrusted since; VerifyConnection runs even then.
		SessionTicketsDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return errURIs
			}
			if err := t.crls.check(state.VerifiedChains, t.clock()); err != nil {
				return err
			}
			_, err := identify(state.PeerCertificates[0], t.domain)
			return err
		},
	}
}

// freshAt reports whether every revocation list is still good.
func (t *trust) freshAt(now time.Time) bool {
	return t.until.IsZero() || now.Before(t.until)
}

// verify checks again, after the handshake, what a client presented in it: that it
// chains to an authority trusted now, and was not revoked.
func (t *trust) verify(presented []*x509.Certificate, now time.Time) error {
	intermediates := x509.NewCertPool()
	for _, cert := range presented[1:] {
		intermediates.AddCert(cert)
	}
	chains, err := presented[0].Verify(x509.VerifyOptions{
		Roots: t.roots, Intermediates: intermediates, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("client certificate: %w", err)
	}
	return t.crls.check(chains, now)
}

// parseOwn refuses a certificate that no client would take now: better the one
// before.
func parseOwn(certificate, key []byte, now time.Time) (tls.Certificate, error) {
	own, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return own, err
	}
	if now.Before(own.Leaf.NotBefore) || !now.Before(own.Leaf.NotAfter) {
		return own, errors.New("expired or not yet valid")
	}
	return own, nil
}

func parseAuthorities(content []byte) ([]*x509.Certificate, error) {
	blocks, err := decodePEM(content, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	anchors := make([]*x509.Certificate, 0, len(blocks))
	for _, der := range blocks {
		anchor, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("parse: %w", err)
		}
		if !anchor.BasicConstraintsValid || !anchor.IsCA {
			return nil, errors.New("a certificate that is no authority's")
		}
		anchors = append(anchors, anchor)
	}
	return anchors, nil
}

// decodePEM returns the blocks of a file, at least one, all of the kind. Text
// between blocks is the custom of many tools.
func decodePEM(content []byte, kind string) ([][]byte, error) {
	var found [][]byte
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != kind {
			return nil, fmt.Errorf("a PEM block that is no %s", kind)
		}
		found = append(found, block.Bytes)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no PEM block %s", kind)
	}
	// pem.Decode passes over a block that is cut short, as of a file half written.
	if bytes.Count(content, []byte("-----BEGIN ")) != len(found) {
		return nil, errors.New("a broken PEM block")
	}
	return found, nil
}
