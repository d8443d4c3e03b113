package server

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/access"
)

// Why a certificate that a trusted authority signed still names no caller.
var (
	errAuthority   = errors.New("client certificate is an authority's")
	errURIs        = errors.New("client certificate: want exactly one URI name")
	errSPIFFEID    = errors.New("client certificate: its URI name is no SPIFFE id")
	errTrustDomain = errors.New("client certificate is of another trust domain")
	errPath        = errors.New("client certificate: want the path /tenant/TENANT/NAME, each of 1 to 63 lower-case letters, digits and hyphens, at most 8 of them digits")
)

// identify returns who a verified client certificate speaks for: the principal
// and the tenant that its SPIFFE id names. Nothing else in a certificate or in a
// request can say so.
func identify(leaf *x509.Certificate, domain spiffeid.TrustDomain) (vault.Caller, error) {
	// X.509-SVID §4.1: a leaf that may sign would be an authority over its own name.
	if leaf.IsCA {
		return vault.Caller{}, errAuthority
	}
	// X.509-SVID §2: exactly one URI name; a validator refuses more.
	if len(leaf.URIs) != 1 {
		return vault.Caller{}, errURIs
	}
	id, err := spiffeid.FromURI(leaf.URIs[0])
	if err != nil {
		return vault.Caller{}, fmt.Errorf("%w: %w", errSPIFFEID, err)
	}
	if !id.MemberOf(domain) {
		return vault.Caller{}, errTrustDomain
	}
	tenant, name, err := parsePath(id.Path())
	if err != nil {
		return vault.Caller{}, err
	}
	return vault.Caller{
		SPIFFE:     id.String(),
		Tenant:     tenant,
		Name:       name,
		CertSerial: leaf.SerialNumber.Text(16),
	}, nil
}

func parsePath(path string) (tenant, name string, err error) {
	rest, ok := strings.CutPrefix(path, "/tenant/")
	tenant, name, two := strings.Cut(rest, "/")
	if !ok || !two || !access.IsName(tenant) || !access.IsName(name) {
		return "", "", errPath
	}
	return tenant, name, nil
}
