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
// sender close with close_notify and the receiver answer with its own. So a delivery
// is one connection: write, close the writing side, and read to the end. Delivered
// means that
//
//   - the collector ended the connection after that,
//   - its machine had acknowledged every byte by then, so that this is an answer and
//     not the end of a collector that stopped before they came, and
//   - the connection was not reset, which is how a machine ends one whose last bytes
//     its program did not read.
//
// The end may be a bare FIN: rsyslog with its gtls driver answers so. Unlike
// close_notify it can be forged by whoever sits on the way and can forge TCP, who
// then keeps messages from the collector; indexes without gaps show that to whoever
// looks at them.
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
	tls    *tls.Config
	dialer net.Dialer
	out    []byte
}

// NewSyslog checks the configuration; it does not connect.
func NewSyslog(cfg SyslogConfig) (*Syslog, error) {
	encode, ok := Encoders()[cfg.Format]
	if !ok {
		return nil, errors.New("syslog: unknown format")
	}
	host, _, err := net.SplitHostPort(cfg.Address)
	if err != nil || cfg.TLS == nil {
		return nil, errors.New("syslog: want host:port and TLS")
	}
	config := cfg.TLS.Clone()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	if config.ServerName == "" {
		config.ServerName = host
	}
	return &Syslog{cfg: cfg, encode: encode, tls: config, dialer: net.Dialer{Timeout: 10 * time.Second}}, nil
}

// Deliver sends events on a connection of their own.
func (s *Syslog) Deliver(ctx context.Context, events []Event) error {
	if err := s.send(ctx, events); err != nil {
		return fmt.Errorf("syslog: %w", err)
	}
	return nil
}

func (s *Syslog) send(ctx context.Context, events []Event) error {
	dialed, err := s.dialer.DialContext(ctx, "tcp", s.cfg.Address)
	if err != nil {
		return err
	}
	defer func() { _ = dialed.Close() }() // what there is to learn from its end is learned before
	stop := context.AfterFunc(ctx, func() { _ = dialed.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	raw, ok := dialed.(*net.TCPConn)
	if !ok {
		return errors.New("not a TCP connection")
	}
	conn := &watched{TCPConn: raw}
	secure := tls.Client(conn, s.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		return err
	}
	if _, err := secure.Write(s.frames(events)); err != nil {
		return err
	}
	return confirm(ctx, secure, conn)
}

// frames returns events as they are transferred.
func (s *Syslog) frames(events []Event) []byte {
	s.out = s.out[:0]
	var message []byte
	for i := range events {
		message = AppendSyslog(message[:0], &events[i], s.cfg.Hostname, s.encode)
		s.out = AppendFrame(s.out, message)
	}
	return s.out
}

// watched is a connection that remembers whether its end was read.
type watched struct {
	*net.TCPConn
	ended bool
}

// Read notes the end.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.TCPConn.Read(p)
	w.ended = w.ended || errors.Is(err, io.EOF)
	return n, err
}

// confirm ends a connection and returns nil if the other side has read all of it.
func confirm(ctx context.Context, secure *tls.Conn, conn *watched) error {
	if err := secure.CloseWrite(); err != nil {
		return fmt.Errorf("close_notify: %w", err)
	}
	// crypto/tls takes the bare end of a connection for close_notify. After one of the
	// latter the end is still to come.
	if err := drain(secure); err != nil {
		return err
	}
	if !conn.ended {
		if err := errors.Join(conn.CloseWrite(), drain(conn)); err != nil {
			return fmt.Errorf("the collector left without reading: %w", err)
		}
	}
	return allAcknowledged(ctx, conn.TCPConn)
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
