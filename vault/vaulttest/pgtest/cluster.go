package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startTimeout bounds making and starting a cluster; both take well under a second on a quiet machine.
const startTimeout = 2 * time.Minute

// Cluster is a PostgreSQL server of the tests' own.
type Cluster struct {
	dir    string // holds data/, the socket and the log
	server server
	guard  *guard
}

// Start makes a cluster that only this test uses and removes it when the test ends.
func Start(t testing.TB) *Cluster {
	t.Helper()
	c, err := newCluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.remove(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// URL connects to the database "postgres" as the superuser "postgres".
func (c *Cluster) URL() string {
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/postgres"}
	u.RawQuery = url.Values{"host": {c.dir}}.Encode()
	return u.String()
}

// DSN is [DSN] on this cluster.
func (c *Cluster) DSN(t testing.TB) string {
	t.Helper()
	return newSchema(t, c.URL())
}

// Dir is the folder that holds everything the server writes: data/, with the tables and the WAL, and log.
func (c *Cluster) Dir() string { return c.dir }

// Stop ends the server in good order: sessions are cut, a checkpoint is written.
func (c *Cluster) Stop(t testing.TB) {
	t.Helper()
	c.control(t, "stop", "-m", "fast")
}

// Kill ends the server as a crash does: sessions are cut, nothing more is written, and the next start replays
// the WAL. The machine stays up, so this does not show whether a commit had reached the disk.
func (c *Cluster) Kill(t testing.TB) {
	t.Helper()
	c.control(t, "stop", "-m", "immediate")
}

// Restart starts a stopped or killed server, and stops a running one in good order before. The URL stays the same.
func (c *Cluster) Restart(t testing.TB) {
	t.Helper()
	c.control(t, "restart", "-m", "fast")
}

func (c *Cluster) control(t testing.TB, verb string, args ...string) {
	t.Helper()
	// A test may stop its server while it cleans up, when its context is over already.
	if err := c.pgCtl(context.WithoutCancel(t.Context()), verb, args...); err != nil {
		t.Fatal(err)
	}
}

func newCluster(ctx context.Context) (*Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	s, err := findServer(filepath.SplitList(os.Getenv("PATH")), installedDirs)
	if err != nil {
		return nil, err
	}
	dir, err := s.newDir()
	if err != nil {
		return nil, err
	}
	// The guard comes first: from here on nothing can be left behind.
	g, err := startGuard(ctx, s, dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	c := &Cluster{dir: dir, server: s, guard: g}
	if err := c.initAndStart(ctx); err != nil {
		return nil, errors.Join(err, c.remove())
	}
	return c, nil
}

func (c *Cluster) initAndStart(ctx context.Context) error {
	// Only the fresh, empty cluster goes unsynced to disk; what tests write later is synced as in production.
	err := c.server.run(ctx, "initdb", "--pgdata="+c.data(), "--username=postgres", "--auth=trust",
		"--encoding=UTF8", "--locale=C", "--no-sync")
	if err != nil {
		return err
	}
	if err := c.configure(); err != nil {
		return err
	}
	if err := c.pgCtl(ctx, "start"); err != nil {
		log, _ := os.ReadFile(c.logFile()) // It only adds to an error that stands without it.
		return fmt.Errorf("%w\n%s", err, log)
	}
	return nil
}

// configure keeps the server small and off the network. "trust" is safe: the socket lies in a folder of mode 0700.
func (c *Cluster) configure() error {
	settings := fmt.Sprintf(`
listen_addresses = ''
unix_socket_directories = '%s'
shared_buffers = '16MB'
max_connections = 200
`, strings.ReplaceAll(c.dir, "'", "''"))
	f, err := os.OpenFile(filepath.Join(c.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("pgtest: configure: %w", err)
	}
	_, err = f.WriteString(settings)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("pgtest: configure: %w", err)
	}
	return nil
}

func (c *Cluster) pgCtl(ctx context.Context, verb string, args ...string) error {
	return c.server.run(ctx, "pg_ctl", append([]string{verb, "--wait", "--pgdata=" + c.data(), "--log=" + c.logFile()}, args...)...)
}

// remove has the guard end the server and remove the folder. Under root the folder can lie where the guard's user
// cannot come; then it goes here.
func (c *Cluster) remove() error {
	return errors.Join(c.guard.release(), os.RemoveAll(c.dir))
}

func (c *Cluster) data() string    { return filepath.Join(c.dir, "data") }
func (c *Cluster) logFile() string { return filepath.Join(c.dir, "log") }
