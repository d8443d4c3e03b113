package e2e

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// replica is a running `cardvault serve`.
type replica struct {
	site *site
	cmd  *exec.Cmd
	log  *lines // its standard error
	out  *lines // its standard output, which stays empty
	// exited is closed once the process is gone and all that it wrote is here; err is then how it ended.
	exited chan struct{}
	err    error

	addr, metrics string
}

// launch starts a server with a configuration file and does not wait for it.
func (s *site) launch(t testing.TB, config string, flags ...string) *replica {
	t.Helper()
	r := &replica{site: s, log: newLines(), out: newLines(), exited: make(chan struct{})}
	r.cmd = exec.Command(programs.cardvault(t), append([]string{"serve", "--config", config}, flags...)...) //nolint:noctx // it ends by the signals that the story sends
	r.cmd.Dir, r.cmd.Env = s.dir, append(os.Environ(), "TMPDIR="+s.dir)
	r.cmd.Stderr, r.cmd.Stdout = r.log, r.out
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := r.cmd.Process.Pid
	guard.tell(t, "start", pid)
	go func() {
		defer close(r.exited)
		r.err = r.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill() // an error: it has ended
		<-r.exited
		guard.tell(t, "stop", pid)
		if t.Failed() {
			t.Logf("log of server %d:\n%.4000s", pid, r.log)
		}
	})
	s.ran(output{what: "serve", stdout: r.out.String, stderr: r.log.String})
	return r
}

// serve starts a server and waits until it serves.
func (s *site) serve(t testing.TB, changes ...setting) *replica {
	t.Helper()
	return s.launch(t, s.config(t, changes...)).serving(t)
}

// serving waits until the server answers, and learns where.
func (r *replica) serving(t testing.TB) *replica {
	t.Helper()
	var line struct{ Listen, Metrics string }
	if err := json.Unmarshal([]byte(r.awaitLog(t, `"msg":"serving"`, 1)), &line); err != nil {
		t.Fatal(err)
	}
	r.addr, r.metrics = line.Listen, line.Metrics
	r.awaitLog(t, `"msg":"ready"`, 1)
	return r
}

// awaitLog returns the n-th line of the log with part in it.
func (r *replica) awaitLog(t testing.TB, part string, n int) string {
	t.Helper()
	line, err := r.log.wait(part, n, r.exited)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// kill ends the server as a crash does.
func (r *replica) kill(t testing.TB) {
	t.Helper()
	r.signal(t, syscall.SIGKILL)
	<-r.exited
}

// stop ends the server as an operator does, and wants it to end well.
func (r *replica) stop(t testing.TB) {
	t.Helper()
	r.signal(t, syscall.SIGTERM)
	if code := r.ended(t); code != exitOK {
		t.Errorf("the server ended with %d on SIGTERM:\n%s", code, r.log)
	}
}

func (r *replica) signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Errorf("%v: %v", s, err)
	}
}

// ended waits for the server's end and returns its exit code.
func (r *replica) ended(t testing.TB) exitCode {
	t.Helper()
	select {
	case <-r.exited:
	case <-time.After(patience):
		t.Fatalf("the server has not ended after %s:\n%s", patience, r.log)
	}
	return codeOf(t, r.err)
}

// codeOf reads the exit code of a process.
func codeOf(t testing.TB, err error) exitCode {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exitCode(exit.ExitCode())
	}
	t.Fatal(err)
	return 0
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
