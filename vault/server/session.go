package server

import (
	"context"
	"crypto/x509"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/cardvault/cardvault/vault"
)

// session is one connection that was let in. Every call on it finds it as the
// peer's AuthInfo.
type session struct {
	credentials.TLSInfo
	caller vault.Caller
	// end is when the first certificate of the client's chain expires.
	end time.Time
	// hangUp closes the connection. It fires at end, or at once when the session
	// stops being good.
	hangUp *time.Timer
	// passed is the trust that last found the session good.
	passed atomic.Pointer[trust]
}

// session returns the session of a call, if it is still good.
func (g *gate) session(ctx context.Context) (*session, error) {
	s, ok := sessionOf(ctx)
	if !ok {
		return nil, errNoIdentity
	}
	return s, g.admit(s)
}

func sessionOf(ctx context.Context) (*session, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, false
	}
	s, ok := p.AuthInfo.(*session)
	return s, ok
}

// callerOf returns who makes a call; the zero Caller, which may do nothing, where
// there is no telling.
func callerOf(ctx context.Context) vault.Caller {
	s, ok := sessionOf(ctx)
	if !ok {
		return vault.Caller{}
	}
	return s.caller
}

// endOf returns when the last of the chains is broken by its first certificate to
// expire.
func endOf(chains [][]*x509.Certificate) time.Time {
	var last time.Time
	for _, chain := range chains {
		first := chain[0].NotAfter
		for _, cert := range chain[1:] {
			if cert.NotAfter.Before(first) {
				first = cert.NotAfter
			}
		}
		if first.After(last) {
			last = first
		}
	}
	return last
}

// sessionConn tells the gate when its connection closes.
type sessionConn struct {
	net.Conn
	gate    *gate
	session *session
}

func (c *sessionConn) Close() error {
	c.gate.leave(c.session)
	return c.Conn.Close()
}
