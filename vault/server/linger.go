package server

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

const (
	// lingerTimeout is how long a client that is turned away may take to learn why.
	lingerTimeout = time.Second
	// lingerBytes are more than a client says before it listens.
	lingerBytes = 64 << 10
)

// lingering is a connection that is closed slowly unless its client was let in. In
// TLS 1.3 a client has done its part of the handshake, and speaks on, before the
// server has judged its certificate. Closed at once, the connection would break
// under what it says, and the alert that tells it why would be lost: an expired
// certificate would look like a server that is down. So the server ends its own
// half, and hears the client out, for a moment.
type lingering struct {
	net.Conn
	admitted atomic.Bool
}

// Close implements net.Conn.
func (c *lingering) Close() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if c.admitted.Load() || !ok {
		return c.Conn.Close()
	}
	enough := time.AfterFunc(lingerTimeout, func() { _ = c.Conn.Close() })
	defer enough.Stop()
	err := half.CloseWrite()
	_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes) // ends when the client or the time does
	if closed := c.Conn.Close(); !errors.Is(closed, net.ErrClosed) {
		err = errors.Join(err, closed)
	}
	return err
}
