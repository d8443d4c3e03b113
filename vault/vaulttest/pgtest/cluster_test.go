package pgtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestKillCutsSessionsAndKeepsCommits(t *testing.T) {
	t.Parallel()
	c := Start(t)
	dsn := c.DSN(t)
	conn := connect(t, dsn)
	execSQL(t, conn, "CREATE TABLE card (id int)")
	execSQL(t, conn, "INSERT INTO card VALUES (1)")
	execSQL(t, conn, "BEGIN")
	execSQL(t, conn, "INSERT INTO card VALUES (2)")

	c.Kill(t)
	if _, err := conn.Exec(t.Context(), "COMMIT"); err == nil {
		t.Error("a session outlived its server")
	}
	if _, err := pgx.Connect(t.Context(), dsn); err == nil {
		t.Error("a killed server takes connections")
	}

	c.Restart(t)
	if got := query[int](t, connect(t, dsn), "SELECT sum(id) FROM card"); got != 1 {
		t.Errorf("sum = %d, want what was committed, 1", got)
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	c := Start(t)
	for _, before := range map[string]func(testing.TB){
		"running": func(testing.TB) {}, "stopped": c.Stop,
	} {
		before(t)
		c.Restart(t)
		query[int](t, connect(t, c.URL()), "SELECT 1")
	}
}

func TestClustersAreApart(t *testing.T) {
	t.Parallel()
	a, b := Start(t), Start(t)
	if a.Dir() == b.Dir() || a.URL() == b.URL() {
		t.Fatal("two clusters in one place")
	}
	a.Stop(t)
	query[int](t, connect(t, b.URL()), "SELECT 1")
}

func TestRemove(t *testing.T) {
	t.Parallel()
	for name, stopped := range map[string]bool{"running": false, "stopped": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := newCluster(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			conn := connect(t, c.URL())
			if stopped {
				c.Stop(t)
			}
			if err := c.remove(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(c.Dir()); !os.IsNotExist(err) {
				t.Errorf("the folder is still there: %v", err)
			}
			if err := conn.Ping(t.Context()); err == nil {
				t.Error("the server is still there")
			}
		})
	}
}

func TestDirHoldsTheServersFiles(t *testing.T) {
	t.Parallel()
	c := Start(t)
	for _, name := range []string{"log", "data/pg_wal", "data/base"} {
		if _, err := os.Stat(filepath.Join(c.Dir(), name)); err != nil {
			t.Error(err)
		}
	}
}

func TestAFailedStartSaysWhyAndLeavesNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		tmp, want string
	}{
		"no such folder":        {filepath.Join(t.TempDir(), "missing"), "no such file"},
		"too long for a socket": {enterable(t, strings.Repeat("long", 25)), "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", tc.tmp)
			_, err := newCluster(t.Context())
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("err = %v, want one with %q", err, tc.want)
			}
			if left, _ := os.ReadDir(tc.tmp); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// enterable makes a temporary folder that the server's user can enter, which t.TempDir is not under root.
func enterable(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", name) //nolint:usetesting // See above.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
