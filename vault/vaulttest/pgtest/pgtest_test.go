package pgtest

import (
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestMain(m *testing.M) {
	if os.Getenv(envHold) != "" {
		holdCluster()
	}
	os.Exit(Main(m))
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

func execSQL(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func query[T any](t *testing.T, conn *pgx.Conn, sql string) T {
	t.Helper()
	var v T
	if err := conn.QueryRow(t.Context(), sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func TestDSNIsASchemaOfItsOwn(t *testing.T) {
	t.Parallel()
	a, b := connect(t, DSN(t)), connect(t, DSN(t))
	for _, conn := range []*pgx.Conn{a, b} {
		execSQL(t, conn, "CREATE TABLE card (id int)") // The same name twice: different schemas.
	}
	execSQL(t, a, "INSERT INTO card VALUES (1)")
	if n := query[int](t, b, "SELECT count(*) FROM card"); n != 0 {
		t.Errorf("%d rows of another schema seen", n)
	}
	if path := query[string](t, a, "SHOW search_path"); !strings.HasPrefix(path, "testdsnisaschemaofitsown_") {
		t.Errorf("search_path = %s", path)
	}
}

func TestServerIsDurableAndOffTheNetwork(t *testing.T) {
	t.Parallel()
	conn := connect(t, DSN(t))
	for setting, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "listen_addresses": "",
	} {
		if got := query[string](t, conn, "SHOW "+setting); got != want {
			t.Errorf("%s = %q, want %q", setting, got, want)
		}
	}
}

func TestCommandTakesADSN(t *testing.T) {
	t.Parallel()
	dsn := DSN(t)
	execSQL(t, connect(t, dsn), "CREATE TABLE card AS SELECT 'a row' AS v")

	out, err := Command(t, "psql", "--no-psqlrc", "--tuples-only", "--dbname="+dsn, "--command=SELECT v FROM card").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "a row" {
		t.Errorf("psql: %v\n%s", err, out)
	}
	out, err = Command(t, "pg_dump", "--dbname="+dsn).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "a row") {
		t.Errorf("pg_dump: %v\n%s", err, out)
	}
}

func TestNewSchemaKeepsTheOptionsOfANamedServer(t *testing.T) {
	t.Parallel()
	conn := connect(t, newSchema(t, DSN(t)+"%20-cwork_mem%3D123kB"))
	if got := query[string](t, conn, "SHOW work_mem"); got != "123kB" {
		t.Errorf("work_mem = %s", got)
	}
	execSQL(t, conn, "CREATE TABLE card (id int)")
}

func TestSchemaNamesFitAndDiffer(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("Überlang/", 20)
	a, b := schemaName(long), schemaName(long)
	if a == b || len(a) > 63 {
		t.Errorf("%q and %q", a, b)
	}
}
