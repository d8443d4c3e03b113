// Package transittest gives tests a real transit server: the genuine HashiCorp Vault core, in a process of its own, over
// TLS on loopback. Because it is a process, a test can seal it, pause it, stop it and start it again, and see what a
// client of a real server sees.
//
// Start builds deploy/devvault when its binary in .cache is missing or older than its sources; the first build of all
// takes minutes. CARDVAULT_TRANSIT_BIN may name a binary to use instead. Such a binary takes devvault's flags (-dev,
// -storage file, -dir, -listen, -stop-on-eof), prints devvault's ready line, and ends on SIGTERM.
//
// What holds of every server:
//   - it listens on loopback only, and keeps its address, certificate, root token and data over a restart;
//   - its folder is the test's temporary one, and vanishes with the test;
//   - it never outlives the test process: its standard input is a pipe from there, and it ends when the pipe does.
//
// The package needs a Unix system.
package transittest

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Server is a running transit server. Its methods end the test that they are given when they fail. They are not safe for
// concurrent use; clients of the server are.
type Server struct {
	// Address is the URL of the API, https://127.0.0.1:port.
	Address string
	// CAFile names the PEM file with the certificate that signed the server's.
	CAFile string
	// RootToken may do everything.
	RootToken string
	// AuditLog names the file where the server's audit device writes a line of JSON for each request and response.
	AuditLog string

	binary    string
	dir       string
	listen    string
	unsealKey string
	cleanup   func(func()) // of the test that started the server

	process *exec.Cmd // nil while stopped
	stop    context.CancelFunc
	stdin   io.Closer

	kubernetes *tokenReviewAPI // nil until a test wants Kubernetes auth
}

// Start starts a server that is initialised and unsealed, and stops it at the end of the test. If the test fails, the
// server's log is shown.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{
		binary:  binary(t),
		dir:     t.TempDir(),
		listen:  loopbackAddress(t),
		cleanup: t.Cleanup,
	}
	t.Cleanup(func() {
		s.Stop(t)
		if t.Failed() {
			t.Logf("transit server's log:\n%s", s.log())
		}
	})
	s.launch(t)
	return s
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "stderr.log") }

func (s *Server) log() string {
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(text)
}
