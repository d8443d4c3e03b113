package e2e

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
)

// replica is a running `cardvault serve`. Its log is its standard error.
type replica struct {
	*process
	site          *site
	addr, metrics string
}

// launch starts a server with a configuration file and does not wait for it.
func (s *site) launch(t testing.TB, config string, flags ...string) *replica {
	t.Helper()
	cmd := program(t, programs.cardvault(t), append([]string{"serve", "--config", config}, flags...)...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "TMPDIR="+s.dir)
	r := &replica{process: start(t, cmd), site: s}
	s.ran(output{what: "serve", stdout: r.stdout.String, stderr: r.stderr.String})
	return r
}

// serve starts a server and waits until it serves.
func (s *site) serve(t testing.TB, changes ...setting) *replica {
	t.Helper()
	return s.launch(t, s.config(t, changes...)).serving(t)
}

// serving waits until the server is ready, and learns where it is.
func (r *replica) serving(t testing.TB) *replica {
	t.Helper()
	r.listening(t)
	r.awaitLog(t, `"msg":"ready"`, 1)
	return r
}

// halted waits until a server has found the log to be another, which may come before it is ready, or after.
func (r *replica) halted(t testing.TB) *replica {
	t.Helper()
	r.listening(t)
	r.awaitLog(t, `"alarm":"audit log halted"`, 1)
	return r
}

// listening waits until the server can be connected to, and learns where.
func (r *replica) listening(t testing.TB) {
	t.Helper()
	var line struct{ Listen, Metrics string }
	if err := json.Unmarshal([]byte(r.awaitLog(t, `"msg":"serving"`, 1)), &line); err != nil {
		t.Fatal(err)
	}
	r.addr, r.metrics = line.Listen, line.Metrics
}

// awaitLog returns the n-th line of the log with part in it.
func (r *replica) awaitLog(t testing.TB, part string, n int) string {
	t.Helper()
	return r.await(t, r.stderr, part, n)
}

// stop ends the server as an operator does, and wants it to end well.
func (r *replica) stop(t testing.TB) {
	t.Helper()
	r.signal(t, syscall.SIGTERM)
	if code := r.code(t); code != exitOK {
		t.Errorf("the server ended with %d on SIGTERM:\n%s", code, r.stderr)
	}
}

// get asks the metrics port.
func (r *replica) get(t testing.TB, path string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.metrics+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// freeAddress returns an address to listen on now and after a restart: its port lies below those that systems give to
// outgoing connections, and those that transittest takes.
func freeAddress(t testing.TB) string {
	t.Helper()
	const first, count = 10_000, 5_000
	for range 50 {
		offset, err := rand.Int(rand.Reader, big.NewInt(count))
		if err != nil {
			t.Fatal(err)
		}
		address := fmt.Sprintf("127.0.0.1:%d", first+offset.Int64())
		if listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address); err == nil {
			_ = listener.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}
