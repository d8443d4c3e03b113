package server

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// replay is a connection that reads what was read from it before.
type replay struct {
	net.Conn
	read io.Reader
}

// Read implements net.Conn.
func (r *replay) Read(p []byte) (int, error) { return r.read.Read(p) }

// TestWhoIsTurnedAwayLearnsWhy: a client without a certificate speaks on, as all
// do, when the server has turned it away already. The connection does not break
// under it, and what it then reads is why.
func TestWhoIsTurnedAwayLearnsWhy(t *testing.T) {
	s := newSite(t)
	raw, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	own := &replay{Conn: raw, read: raw}
	conn := tls.Client(own, s.tls(t))
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatal("in TLS 1.3 the client's half of the handshake ends first: ", err)
	}
	verdict, err := io.ReadAll(raw) // to the end of what the server says
	if err != nil {
		t.Fatal(err)
	}
	own.read = bytes.NewReader(verdict)
	for range 3 {
		if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
			t.Fatal("the connection broke: ", err)
		}
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "tls: certificate required") {
		t.Errorf("read %v, want the alert", err)
	}
}

// TestTurnedAwayClientIsNotWaitedForLong: one that neither speaks nor hangs up is
// hung up on.
func TestTurnedAwayClientIsNotWaitedForLong(t *testing.T) {
	server, client := tcpPair(t)
	closed := make(chan error, 1)
	go func() { closed <- (&lingering{Conn: server}).Close() }()
	if _, err := io.ReadAll(client); err != nil {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, err := server.Write([]byte{1}); err == nil {
		t.Error("the connection stands")
	}
}

// tcpPair returns both ends of a connection.
func tcpPair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	if client, err = new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if server, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	return server, client
}
