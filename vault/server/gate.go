package server

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/credentials"
)

// Why a call on an open connection is refused.
var (
	errNoIdentity = errors.New("the connection carries no identity")
	errExpired    = errors.New("client certificate has expired")
)

// gate lets connections in by the trust in force, and ends them when they may no
// longer stand. It is gRPC's transport credentials, the server's half.
type gate struct {
	credentials.TransportCredentials
	clock    func() time.Time
	log      *slog.Logger
	refusals *refusals
	trust    atomic.Pointer[trust]

	mu   sync.Mutex
	open map[*session]struct{}
}

func newGate(clock func() time.Time, log *slog.Logger, counted handshakeCounter) *gate {
	g := &gate{clock: clock, log: log, refusals: newRefusals(log, counted), open: make(map[*session]struct{})}
	g.TransportCredentials = credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return g.trust.Load().config, nil
		},
	})
	return g
}

// load puts new TLS files in force, for open connections too.
func (g *gate) load(contents [][]byte, domain spiffeid.TrustDomain) error {
	next, err := newTrust(contents, domain, g.clock)
	if err != nil {
		return err
	}
	if before := g.trust.Load(); before != nil {
		if err := next.crls.follows(before.crls); err != nil {
			return err
		}
	}
	g.trust.Store(next)
	g.sweep()
	g.log.Info("TLS files in force",
		slog.String("serial", next.own.Leaf.SerialNumber.Text(16)), slog.Time("expires", next.own.Leaf.NotAfter))
	return nil
}

// sweep ends the connections that the trust in force would not let in. A call
// that comes on one of them before it ends is refused by admit.
func (g *gate) sweep() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for s := range g.open {
		if g.admit(s) != nil {
			s.hangUp.Reset(0)
		}
	}
}

// admit says whether a session is still good: its certificates have not expired,
// and the trust in force vouches for them. It is asked before every call, so that
// nothing depends on a connection being closed in time.
func (g *gate) admit(s *session) error {
	t, now := g.trust.Load(), g.clock()
	if !now.Before(s.end) {
		return errExpired
	}
	if s.passed.Load() == t && t.freshAt(now) {
		return nil
	}
	if err := t.verify(s.State.PeerCertificates, now); err != nil {
		return err
	}
	s.passed.Store(t)
	return nil
}

// ServerHandshake implements credentials.TransportCredentials.
func (g *gate) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	patient := &lingering{Conn: raw}
	conn, info, err := g.TransportCredentials.ServerHandshake(patient)
	if err != nil {
		g.refusals.record(raw.RemoteAddr(), err)
		return nil, nil, err
	}
	s, err := g.enter(conn, info)
	if err != nil {
		g.refusals.record(raw.RemoteAddr(), err)
		return nil, nil, errors.Join(err, conn.Close())
	}
	patient.admitted.Store(true)
	return &sessionConn{conn, g, s}, s, nil
}

func (g *gate) enter(conn net.Conn, info credentials.AuthInfo) (*session, error) {
	tlsInfo, ok := info.(credentials.TLSInfo)
	if !ok || len(tlsInfo.State.VerifiedChains) == 0 {
		return nil, errNoIdentity
	}
	caller, err := identify(tlsInfo.State.PeerCertificates[0], g.trust.Load().domain)
	if err != nil {
		return nil, err
	}
	s := &session{TLSInfo: tlsInfo, caller: caller, end: endOf(tlsInfo.State.VerifiedChains)}
	g.stand(s, conn)
	// Only now: files loaded during the handshake have not verified this session, and
	// a sweep that ran before it stood in open has not seen it.
	if err := g.admit(s); err != nil {
		g.leave(s)
		return nil, err
	}
	return s, nil
}

func (g *gate) stand(s *session, conn net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open[s] = struct{}{}
	s.hangUp = time.AfterFunc(s.end.Sub(g.clock()), func() {
		g.leave(s)
		_ = conn.Close() // whoever reads from it learns of it
	})
}

func (g *gate) leave(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s.hangUp.Stop()
	delete(g.open, s)
}

// connections returns how many connections stand.
func (g *gate) connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.open)
}
