// Package pgtest gives tests a real PostgreSQL.
//
// [DSN] returns a connection string to a schema of the test's own, on a server that the first such call
// of the test process starts: a throw-away cluster in a temporary folder, reached over a Unix socket only,
// with fsync on, so that what a test sees committed is committed. It takes less than a second, so
// each test process has its own and no state passes between packages. [Start] gives a test a whole cluster, to
// stop, crash and restart.
//
// Three things hold:
//
//   - A missing server fails the test and names the next step. Nothing is ever skipped.
//   - No cluster outlives its test process, not even one that is killed: see [guard].
//   - PostgreSQL refuses to run as root; under root the server runs as "postgres", or else as "nobody".
//
// The variable CARDVAULT_TEST_PG, a postgres:// URL, names a server to use instead: another version, or an
// engine that speaks PostgreSQL's protocol. Its user must be allowed to create schemas there.
package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// EnvURL names the environment variable that holds the URL of a server to use instead of a throw-away one.
const EnvURL = "CARDVAULT_TEST_PG"

// shared is the cluster behind [DSN].
//
//nolint:gochecknoglobals // One cluster a test process is the point; starting one a test would cost a second each.
var shared struct {
	sync.Mutex
	cluster *Cluster
	err     error
}

// DSN returns a postgres:// URL whose search_path is a new, empty schema that no other test sees. The user
// is a superuser, so roles can be made; but roles belong to the whole cluster, and want names of their own.
// The schema stays until the cluster is thrown away: a failed test's rows can be looked at.
func DSN(t testing.TB) string {
	t.Helper()
	if named := os.Getenv(EnvURL); named != "" {
		return newSchema(t, named)
	}
	c, err := sharedCluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c.DSN(t)
}

// Main runs the tests of a package and removes the shared cluster before the process ends. Without it the
// cluster goes too, but a moment after the process:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
func Main(m *testing.M) int {
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil {
		return code
	}
	if err := shared.cluster.remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// sharedCluster starts the shared cluster once; a failed start is not tried again, so that a hundred tests
// report it quickly.
func sharedCluster(ctx context.Context) (*Cluster, error) {
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil && shared.err == nil {
		shared.cluster, shared.err = newCluster(ctx)
	}
	return shared.cluster, shared.err
}

// newSchema makes a schema on the server at rawURL and returns rawURL with the schema as its search_path.
func newSchema(t testing.TB, rawURL string) string {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		t.Fatalf("pgtest: %s is not a postgres:// URL", EnvURL)
	}
	conn, err := pgx.Connect(t.Context(), rawURL)
	if err != nil {
		t.Fatalf("pgtest: connect to make a schema: %v", err)
	}
	schema := schemaName(t.Name())
	if _, err := conn.Exec(t.Context(), "CREATE SCHEMA "+pgx.Identifier{schema}.Sanitize()); err != nil {
		t.Fatalf("pgtest: make a schema: %v", err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatalf("pgtest: close after making a schema: %v", err)
	}
	// Through "options" and not as a parameter of its own: libpq's programs (pg_dump, psql) know only this form.
	query := u.Query()
	query.Set("options", strings.TrimSpace(query.Get("options")+" -csearch_path="+schema))
	// libpq takes "+" literally; a space has to be "%20".
	u.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	return u.String()
}

// schemaName makes a name that is unique, tells which test it belongs to, and fits PostgreSQL's 63 bytes.
func schemaName(test string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(test))
	return clean[:min(len(clean), 32)] + "_" + strings.ToLower(rand.Text()[:16])
}
