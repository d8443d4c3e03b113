package e2e

import (
	"crypto/rand"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/vaulttest/pgtest"
)

// database is a PostgreSQL database with the roles of deploy/postgres, and no tables yet.
type database struct {
	// admin is its URL as superuser: one who can do what no role of the vault's can.
	admin string
	name  string
}

// rolesMade keeps two stories from making the roles of one server at once.
var rolesMade sync.Mutex

// newDatabase makes a database on the server of the test process.
func newDatabase(t testing.TB) database {
	t.Helper()
	return databaseOn(t, pgtest.DSN(t))
}

// databaseOn makes a database on a server as its administrator does.
func databaseOn(t testing.TB, server string) database {
	t.Helper()
	roles, err := os.ReadFile(repository("deploy", "postgres", "roles.sql"))
	if err != nil {
		t.Fatal(err)
	}
	rolesMade.Lock()
	defer rolesMade.Unlock()
	name := "cardvault_" + strings.ToLower(rand.Text()[:10])
	sqlAt(t, server, "CREATE DATABASE "+name)
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Del("options") // the search_path of a schema elsewhere
	u.Path, u.RawQuery = "/"+name, query.Encode()
	d := database{admin: u.String(), name: name}
	d.sql(t, string(roles))
	return d
}

// as returns the URL for a role.
func (d database) as(role string) string {
	u, err := url.Parse(d.admin)
	if err != nil {
		return ""
	}
	u.User = url.User(role)
	return u.String()
}

// sql runs statements by the superuser's hand and returns how many rows the last one touched.
func (d database) sql(t testing.TB, statements string) int64 {
	t.Helper()
	return sqlAt(t, d.admin, statements)
}

func sqlAt(t testing.TB, url, statements string) int64 {
	t.Helper()
	conn := connect(t, url)
	// The simple protocol takes several statements at once, in one transaction.
	results, err := conn.PgConn().Exec(t.Context(), statements).ReadAll()
	if err != nil {
		t.Fatalf("%v in:\n%s", err, statements)
	}
	if len(results) == 0 {
		return 0
	}
	return results[len(results)-1].CommandTag.RowsAffected()
}

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.PgConn().Conn().Close() })
	return conn
}

// count returns the one number that a query is for.
func (d database) count(t testing.TB, query string) int64 {
	t.Helper()
	var n int64
	if err := connect(t, d.admin).QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%v in: %s", err, query)
	}
	return n
}

// chains reads the audit log past the product, verifies the chain of every replica from its first entry on, and
// returns their entries.
func (d database) chains(t testing.TB) map[uuid.UUID][]audit.Entry {
	t.Helper()
	rows, err := connect(t, d.admin).Query(t.Context(), `
		SELECT e.replica, e.number, e.time, t.name, e.body FROM audit_entries e JOIN tenants t ON t.id = e.tenant
		ORDER BY e.replica, e.number`)
	if err != nil {
		t.Fatal(err)
	}
	records, err := pgx.CollectRows(rows, scanRecord)
	if err != nil {
		t.Fatal(err)
	}
	byReplica := map[uuid.UUID][]audit.Record{}
	for _, r := range records {
		byReplica[r.Replica] = append(byReplica[r.Replica], r)
	}
	entries := map[uuid.UUID][]audit.Entry{}
	for replica, records := range byReplica {
		entries[replica] = verified(t, records)
	}
	return entries
}
