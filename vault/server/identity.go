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
	errPath        = errors.New("client certificate: want the path /tenant/TENANT/NAME or /staff/NAME, each name of 1 to 63 lower-case letters, digits and hyphens, at most 8 of them digits")
)

// identify returns who a verified client certificate speaks for: the principal
// and the tenant that its SPIFFE id names, or one of the deployment's staff. Nothing else in a certificate or in a
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
	caller, err := parsePath(id.Path())
	if err != nil {
		return vault.Caller{}, err
	}
	caller.SPIFFE, caller.CertSerial = id.String(), leaf.SerialNumber.Text(16)
	return caller, nil
}

// parsePath returns the caller that a path names. The first part tells tenants from
// staff: no tenant can be named so that its callers pass for staff.
func parsePath(path string) (vault.Caller, error) {
	kind, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch kind {
	case "tenant":
		tenant, name, _ := strings.Cut(rest, "/")
		if access.IsName(tenant) && access.IsName(name) {
			return vault.Caller{Tenant: tenant, Name: name}, nil
		}
	case "staff":
		if access.IsName(rest) {
			return vault.Caller{Staff: true, Name: rest}, nil
		}
	}
	return vault.Caller{}, errPath
}
