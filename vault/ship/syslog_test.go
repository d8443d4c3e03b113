package ship_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/octetcounting"
	"github.com/leodido/go-syslog/v4/rfc5424"

	"github.com/cardvault/cardvault/vault/ship"
)

// collector is a syslog server.
type collector struct {
	listener net.Listener
	mu       sync.Mutex
	messages []*rfc5424.SyslogMessage
	errs     []error
	// handle takes connections instead of the collector, where it is set.
	handle func(conn *tls.Conn)
	done   sync.WaitGroup
}

func newCollector(t testing.TB, s *site, handle func(*tls.Conn)) *collector {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", s.serverTLS())
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{listener: l, handle: handle}
	c.done.Go(c.serve)
	t.Cleanup(func() {
		_ = l.Close()
		c.done.Wait()
	})
	return c
}

func (c *collector) serve() {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.done.Go(func() {
			defer conn.Close()
			if c.handle != nil {
				c.handle(conn.(*tls.Conn))
				return
			}
			c.parse(conn)
		})
	}
}

// parse reads messages until the sender closes.
func (c *collector) parse(r io.Reader) {
	p := octetcounting.NewParser(syslog.WithMaxMessageLength(1<<20), syslog.WithListener(func(r *syslog.Result) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if r.Error != nil && !errors.Is(r.Error, io.EOF) {
			c.errs = append(c.errs, r.Error)
			return
		}
		if m, ok := r.Message.(*rfc5424.SyslogMessage); ok {
			c.messages = append(c.messages, m)
		}
	}))
	p.Parse(r)
}

func newSyslog(t testing.TB, s *site, address, format string) *ship.Syslog {
	t.Helper()
	sink, err := ship.NewSyslog(ship.SyslogConfig{Address: address, TLS: s.clientTLS(), Hostname: "vault-1.example.com", Format: format})
	if err != nil {
		t.Fatal(err)
	}
	return sink
}

func TestSyslogReachesACollector(t *testing.T) {
	for _, format := range []string{"jsonl", "cef"} {
		t.Run(format, func(t *testing.T) {
			s := newSite(t)
			c := newCollector(t, s, nil)
			sink := newSyslog(t, s, c.listener.Addr().String(), format)
			list := events("s", 0, 500)
			for chunk := range slices.Chunk(list, 120) {
				deliver(t, sink, chunk)
			}
			if len(c.errs) > 0 {
				t.Fatal(c.errs)
			}
			// No waiting: what was delivered has been read.
			if len(c.messages) != len(list) {
				t.Fatalf("%d messages came, want %d", len(c.messages), len(list))
			}
			for i, m := range c.messages {
				if got, want := *m.Message, string(ship.Encoders()[format](nil, &list[i])); got != want {
					t.Fatalf("message %d is\n%s, want\n%s", i, got, want)
				}
				data := (*m.StructuredData)["cardvault@32473"]
				if data["log_index"] != strconv.Itoa(i) || data["principal"] != list[i].Entry.Principal || data["leaf_hash"] != list[i].Leaf.String() {
					t.Fatalf("message %d has %v", i, data)
				}
				if !m.Timestamp.Equal(list[i].Entry.Time) || *m.Hostname != "vault-1.example.com" || *m.Appname != "cardvault" ||
					*m.ProcID != list[i].Entry.Replica.String() || *m.MsgID != list[i].Entry.Action {
					t.Fatalf("message %d has a header %v", i, m)
				}
				if want := map[bool]uint8{true: 4, false: 6}[list[i].Entry.Result != "OK"]; *m.Facility != 13 || *m.Severity != want {
					t.Fatalf("message %d has facility %d, severity %d", i, *m.Facility, *m.Severity)
				}
			}
		})
	}
}

// A collector that ends a connection in any way but after reading all of it does not have the entries.
func TestSyslogIsNotDeliveredUnlessRead(t *testing.T) {
	readSome := func(conn *tls.Conn) { _, _ = io.ReadFull(conn, make([]byte, 1000)) }
	for name, handle := range map[string]func(conn *tls.Conn){
		"closes at once":  func(conn *tls.Conn) { _ = conn.HandshakeContext(context.Background()) },
		"closes half way": readSome,
		"leaves half way": func(conn *tls.Conn) { readSome(conn); _ = conn.NetConn().Close() },
		"resets": func(conn *tls.Conn) {
			readSome(conn)
			_ = conn.NetConn().(*net.TCPConn).SetLinger(0)
			_ = conn.NetConn().Close()
		},
		"notifies and leaves": func(conn *tls.Conn) {
			readSome(conn)
			time.Sleep(20 * time.Millisecond) // usually everything is there by then, and acknowledged
			_ = conn.CloseWrite()
			_ = conn.NetConn().Close()
		},
		"talks back": func(conn *tls.Conn) {
			_, _ = conn.Write([]byte(strings.Repeat("220 hello\r\n", 1000)))
			_, _ = io.Copy(io.Discard, conn)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			c := newCollector(t, s, handle)
			sink := newSyslog(t, s, c.listener.Addr().String(), "jsonl")
			for _, size := range []int64{1000, 100} { // more than fits into buffers, and less
				if err := sink.Deliver(t.Context(), events("s", 0, size)); err == nil {
					t.Errorf("%d entries count as delivered", size)
				}
			}
		})
	}
}

// rsyslog's gtls driver reads everything and ends the connection without close_notify.
func TestSyslogTakesABareEndAfterEverything(t *testing.T) {
	s := newSite(t)
	c := newCollector(t, s, func(conn *tls.Conn) { _, _ = io.Copy(io.Discard, conn); _ = conn.NetConn().Close() })
	sink := newSyslog(t, s, c.listener.Addr().String(), "jsonl")
	for _, size := range []int64{1000, 100} {
		if err := sink.Deliver(t.Context(), events("s", 0, size)); err != nil {
			t.Errorf("%d entries: %v", size, err)
		}
	}
}

// A collector that is not the configured one gets nothing, and one that wants a client certificate gets it.
func TestSyslogVerifiesTheCollector(t *testing.T) {
	s, other := newSite(t), newSite(t)
	c := newCollector(t, other, nil)
	if err := newSyslog(t, s, c.listener.Addr().String(), "jsonl").Deliver(t.Context(), events("s", 0, 1)); err == nil {
		t.Error("delivered to a collector of another CA")
	}
	if len(c.messages) > 0 {
		t.Error("it has a message")
	}
}
