package postgres_test

import (
	"context"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// proxy stands between a store and its server and can cut the connections at any
// byte.
type proxy struct {
	dsn     string // leads through the proxy
	network string
	address string // of the server

	mu   sync.Mutex
	cut  *cut
	open []net.Conn
}

// cut is where all connections end: after so many more bytes from the store, or
// after so many of the server's answer. A negative number is no end.
type cut struct{ request, answer int }

func newProxy(t *testing.T, dsn string) *proxy {
	t.Helper()
	config, err := pgconn.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("host", dir)
	u.RawQuery = query.Encode()
	p := &proxy{dsn: u.String()}
	p.network, p.address = pgconn.NetworkAddress(config.Host, config.Port)

	var serving sync.WaitGroup
	serving.Go(func() { p.serve(t.Context(), &serving, listener) })
	t.Cleanup(func() {
		_ = listener.Close()
		p.closeAll()
		serving.Wait()
	})
	return p
}

func (p *proxy) serve(ctx context.Context, serving *sync.WaitGroup, listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := new(net.Dialer).DialContext(ctx, p.network, p.address)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.open = append(p.open, client, server)
		p.mu.Unlock()
		pair := func() {
			_ = client.Close()
			_ = server.Close()
		}
		serving.Go(func() {
			defer pair()
			p.pump(server, client, func(c *cut) *int { return &c.request })
		})
		serving.Go(func() {
			defer pair()
			p.pump(client, server, func(c *cut) *int { return &c.answer })
		})
	}
}

// pump copies until a cut or the end.
func (p *proxy) pump(to, from net.Conn, limit func(c *cut) *int) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		allowed := p.allow(n, limit)
		if _, writeErr := to.Write(buf[:allowed]); writeErr != nil || err != nil || allowed < n {
			return
		}
	}
}

// allow returns how many of n bytes may pass.
func (p *proxy) allow(n int, limit func(c *cut) *int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut == nil || *limit(p.cut) < 0 {
		return n
	}
	left := limit(p.cut)
	n = min(n, *left)
	*left -= n
	return n
}

// cutAt makes the connections end once so much has passed from now on.
func (p *proxy) cutAt(c cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = &c
}

// heal lets everything pass again.
func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = nil
}

// closeAll cuts all connections now.
func (p *proxy) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.open {
		_ = conn.Close()
	}
	p.open = nil
}
