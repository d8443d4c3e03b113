package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// installedDirs is where Debian and Ubuntu keep the server's programs, outside of PATH.
const installedDirs = "/usr/lib/postgresql/*/bin"

// errNoServer is returned by [findServer] if there are no server programs on this machine.
var errNoServer = errors.New("pgtest: no PostgreSQL server programs (initdb, pg_ctl) in PATH or " + installedDirs +
	": run `make setup`, which installs them on Debian and Ubuntu, or let " + EnvURL + " name a server")

// server is an installation of PostgreSQL, and who runs it.
type server struct {
	bin   string              // folder of the programs
	runAs *syscall.Credential // nil: the test's own user
}

// Command prepares one of PostgreSQL's programs, such as pg_dump or psql, in the version of the throw-away
// clusters. It takes a [DSN] as --dbname.
func Command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	s, err := findServer(filepath.SplitList(os.Getenv("PATH")), installedDirs)
	if err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(t.Context(), s.path(name), args...)
}

// findServer looks for the server's programs in the folders of path, then in those that match the pattern
// installed, newest version first.
func findServer(path []string, installed string) (server, error) {
	dirs, err := filepath.Glob(installed)
	if err != nil {
		return server{}, fmt.Errorf("pgtest: %w", err)
	}
	slices.SortFunc(dirs, func(a, b string) int { return majorVersion(b) - majorVersion(a) })
	for _, dir := range slices.Concat(path, dirs) {
		// The programs lie together; a link in PATH may name just one of them.
		initdb, err := filepath.EvalSymlinks(filepath.Join(dir, "initdb"))
		if bin := filepath.Dir(initdb); err == nil && isExecutable(initdb) && isExecutable(filepath.Join(bin, "pg_ctl")) {
			runAs, err := serverUser()
			return server{bin: bin, runAs: runAs}, err
		}
	}
	return server{}, errNoServer
}

// majorVersion reads the 17 of /usr/lib/postgresql/17/bin; 0 if there is none.
func majorVersion(dir string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
	if err != nil {
		return 0
	}
	return n
}

func isExecutable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// serverUser chooses who runs the server: PostgreSQL refuses root.
func serverUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // No credential means the test's own user, as it does for exec.Cmd.
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(errUID, errGID)
	}
	return nil, errors.New(`pgtest: PostgreSQL does not run as root, and there is no user "postgres" or "nobody" to run it as`)
}

// newDir makes the folder of a cluster, which only the server's user (and root) can enter. Its name
// is short because a Unix socket's path may have 107 bytes.
func (s server) newDir() (string, error) {
	dir, err := os.MkdirTemp("", "cv-pg-")
	if err != nil {
		return "", fmt.Errorf("pgtest: %w", err)
	}
	if s.runAs != nil {
		if err := os.Chown(dir, int(s.runAs.Uid), int(s.runAs.Gid)); err != nil {
			return "", errors.Join(fmt.Errorf("pgtest: %w", err), os.Remove(dir))
		}
	}
	return dir, nil
}

func (s server) path(name string) string { return filepath.Join(s.bin, name) }

// command prepares a program to run as the server's user, with nothing of the caller's environment: a PGPORT or
// PGDATA there must not redirect it.
func (s server) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.runAs}
	return cmd
}

func (s server) run(ctx context.Context, name string, args ...string) error {
	out, err := s.command(ctx, s.path(name), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("pgtest: %s: %w\n%s", name, err, out)
	}
	return nil
}
