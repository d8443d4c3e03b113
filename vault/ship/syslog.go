package ship

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// SyslogConfig is where messages go.
type SyslogConfig struct {
	// Address of the collector, host:port. RFC 5425 gives it port 6514.
	Address string
	TLS     *tls.Config
	// Hostname names this machine in messages.
	Hostname string
	// Format of MSG is a name of Encoders.
	Format string
}

// Syslog sends entries as RFC 5424 messages in RFC 5425 frames over TLS.
//
// Syslog has no acknowledgement: what was written to a connection may be lost in
// buffers, on either side. But its connections end with one. RFC 5425 §4.4 has the
// sender close with close_notify and the receiver answer with its own, which
// nobody on the way can forge. So a delivery is one connection: write, close the
// writing side, and read to the end. Delivered means that
//
//   - the collector ended with close_notify,
//   - its machine had acknowledged every byte by then, so that this is an answer and
//     not the end of a collector that stopped before they came, and
//   - the connection was not reset, which is how a machine ends one whose last bytes
//     its program did not read.
//
// Where a connection ends in any other way, all its entries are sent again on the
// next one. What a collector does with messages after it has read them, the
// protocol cannot say.
//
// A connection for each delivery, at most one a second, costs a handshake, which
// session tickets keep short.
type Syslog struct {
	cfg    SyslogConfig
	encode Encoder
	dialer tls.Dialer
	out    []byte
}

// NewSyslog checks the configuration; it does not connect.
func NewSyslog(cfg SyslogConfig) (*Syslog, error) {
	encode, ok := Encoders()[cfg.Format]
	if !ok {
		return nil, errors.New("syslog: unknown format")
	}
	if cfg.TLS == nil {
		return nil, errors.New("syslog: want TLS")
	}
	config := cfg.TLS.Clone()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	return &Syslog{cfg: cfg, encode: encode, dialer: tls.Dialer{
		NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: config,
	}}, nil
}

// Deliver sends events on a connection of their own.
func (s *Syslog) Deliver(ctx context.Context, events []Event) error {
	conn, err := s.dialer.DialContext(ctx, "tcp", s.cfg.Address)
	if err != nil {
		return fmt.Errorf("syslog: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	err = s.send(ctx, conn, events)
	_ = conn.Close() // what there was to learn from its end is learned
	if err != nil {
		return fmt.Errorf("syslog: %w", err)
	}
	return nil
}

func (s *Syslog) send(ctx context.Context, conn net.Conn, events []Event) error {
	secure, ok := conn.(*tls.Conn)
	if !ok {
		return errors.New("not a TLS connection")
	}
	s.out = s.out[:0]
	var message []byte
	for i := range events {
		message = AppendSyslog(message[:0], &events[i], s.cfg.Hostname, s.encode)
		s.out = AppendFrame(s.out, message)
	}
	if _, err := secure.Write(s.out); err != nil {
		return err
	}
	return confirm(ctx, secure)
}

// confirm ends a connection and returns nil if the other side has read all of it.
func confirm(ctx context.Context, conn *tls.Conn) error {
	if err := conn.CloseWrite(); err != nil {
		return fmt.Errorf("close_notify: %w", err)
	}
	// nil is close_notify alone: to crypto/tls a connection that just ends is
	// io.ErrUnexpectedEOF.
	if err := drain(conn); err != nil {
		return fmt.Errorf("the collector did not end the connection with close_notify: %w", err)
	}
	raw, ok := conn.NetConn().(*net.TCPConn)
	if !ok {
		return errors.New("not a TCP connection")
	}
	if err := errors.Join(raw.CloseWrite(), drain(raw)); err != nil {
		return fmt.Errorf("the collector left without reading: %w", err)
	}
	return allAcknowledged(ctx, raw)
}

// drain reads to the end. A collector has nothing to say.
func drain(conn io.Reader) error {
	const most = 1 << 10
	n, err := io.Copy(io.Discard, io.LimitReader(conn, most))
	if err == nil && n == most {
		err = errors.New("it talks back")
	}
	return err
}

// Close does nothing: no connection outlives a delivery.
func (s *Syslog) Close() error { return nil }
