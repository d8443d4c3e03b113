package ship_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/cardvault/cardvault/vault/ship"
)

// connect returns both ends of a connection.
func connect(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if near, err = net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr)); err != nil {
		t.Fatal(err)
	}
	if far, err = l.AcceptTCP(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	return near, far
}

// fill writes until nothing fits into the buffers of both sides.
func fill(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	if err := conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for err := error(nil); err == nil; {
		_, err = conn.Write(make([]byte, 1<<16))
	}
}

// What the other machine has not taken is not acknowledged; what it has is, read or not.
func TestAllAcknowledged(t *testing.T) {
	near, far := connect(t)
	if _, err := near.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := ship.AllAcknowledged(t.Context(), near); err != nil {
		t.Errorf("a little: %v", err)
	}
	fill(t, near)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ship.AllAcknowledged(gone, near); err == nil {
		t.Error("more than the other side takes counts as acknowledged")
	}
	go func() { _, _ = io.Copy(io.Discard, far) }()
	if err := ship.AllAcknowledged(t.Context(), near); err != nil {
		t.Errorf("all of it was read: %v", err)
	}
}

// A reset ends the wait.
func TestAllAcknowledgedEndsWithAReset(t *testing.T) {
	near, far := connect(t)
	fill(t, near)
	if err := far.Close(); err != nil { // with bytes that were not read
		t.Fatal(err)
	}
	if err := ship.AllAcknowledged(t.Context(), near); err == nil {
		t.Error("bytes that nobody read count as acknowledged")
	}
}
