package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"

	"golang.org/x/time/rate"
)

// handshakeCounter counts a refused handshake under one of a few reasons.
type handshakeCounter func(reason string)

// refusals records connections that were turned away. Nobody is known yet whom an
// audit entry could name, so they go to the log and to a metric.
type refusals struct {
	log     *slog.Logger
	counted handshakeCounter
	// lines bounds what strangers can write into the log; the metric counts all.
	lines *rate.Limiter
}

func newRefusals(log *slog.Logger, counted handshakeCounter) *refusals {
	return &refusals{log: log, counted: counted, lines: rate.NewLimiter(rate.Every(time.Second), 20)}
}

func (r *refusals) record(from net.Addr, err error) {
	if errors.Is(err, io.EOF) {
		return // a load balancer's port check: it opens and closes
	}
	reason := refusalReason(err)
	r.counted(reason)
	if r.lines.Allow() {
		r.log.LogAttrs(context.Background(), slog.LevelWarn, "connection refused",
			slog.String("from", from.String()), slog.String("reason", reason))
	}
}

// refusalReason sorts errors by what an operator has to look at. It does not use
// their text: crypto/x509 writes names into it that the stranger chose.
func refusalReason(err error) string {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var verification *tls.CertificateVerificationError
	switch {
	case errors.Is(err, errRevoked):
		return "revoked"
	case errors.Is(err, errNoCRL), errors.Is(err, errStaleCRL):
		return "revocation_unknown"
	case errors.Is(err, errAuthority), errors.Is(err, errURIs), errors.Is(err, errPath), errors.Is(err, errSPIFFEID):
		return "identity"
	case errors.Is(err, errTrustDomain):
		return "trust_domain"
	case errors.As(err, &unknown):
		return "unknown_authority"
	case errors.Is(err, errExpired), errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "expired"
	case errors.As(err, &verification), errors.As(err, &invalid):
		return "certificate"
	default:
		return "handshake"
	}
}
