package postgres_test

import (
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/postgres"
	"github.com/cardvault/cardvault/vault/vaulttest"
	"github.com/cardvault/cardvault/vault/vaulttest/pgtest"
)

// as returns dsn for another role.
func as(t testing.TB, dsn, role string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	return u.String()
}

// makeRoles does what an administrator does, once.
func makeRoles(t testing.TB, dsn string) {
	t.Helper()
	roles, err := os.ReadFile("../../deploy/postgres/roles.sql")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, dsn).Exec(t.Context(), string(roles)); err != nil {
		t.Fatal(err)
	}
}

// The roles are the whole server's, so these tests have one of their own.
func TestRoles(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Start(t)
	makeRoles(t, cluster.DSN(t))
	t.Run("the server's role keeps the contract", func(t *testing.T) { contractAsApp(t, cluster) })
	t.Run("may no more than they need", func(t *testing.T) { rightsOfRoles(t, deployed(t, cluster)) })
	t.Run("are the only ones that connect", func(t *testing.T) { strangersStayOut(t, deployed(t, cluster)) })
	t.Run("lose by a migration what is not granted", func(t *testing.T) { rightsTakenBack(t, deployed(t, cluster)) })
	t.Run("of the server cannot migrate", func(t *testing.T) { migrateAsApp(t, cluster.DSN(t)) })
}

// deployed makes a schema as an operator does: the owner migrates.
func deployed(t testing.TB, cluster *pgtest.Cluster) string {
	t.Helper()
	dsn := cluster.DSN(t)
	handOver(t, dsn)
	migrated(t, as(t, dsn, "cardvault_owner"))
	return dsn
}

func contractAsApp(t *testing.T, cluster *pgtest.Cluster) {
	t.Helper()
	vaulttest.StoreContract(t, func(t testing.TB) vaulttest.Database {
		t.Helper()
		dsn := deployed(t, cluster)
		return func(t testing.TB) vaulttest.Store {
			t.Helper()
			return open(t, as(t, dsn, "cardvault_app"))
		}
	})
}

// handOver gives the schema of dsn to the owner, as roles.sql does.
func handOver(t testing.TB, dsn string) {
	t.Helper()
	if _, err := connect(t, dsn).Exec(t.Context(), "ALTER SCHEMA "+schemaOf(t, dsn)+" OWNER TO cardvault_owner"); err != nil {
		t.Fatal(err)
	}
}

// schemaOf returns the quoted name of the schema of dsn.
func schemaOf(t testing.TB, dsn string) string {
	t.Helper()
	var schema string
	if err := connect(t, dsn).QueryRow(t.Context(), "SELECT current_schema()").Scan(&schema); err != nil {
		t.Fatal(err)
	}
	return pgx.Identifier{schema}.Sanitize()
}

const insufficientPrivilege = "42501"

func rightsOfRoles(t *testing.T, dsn string) {
	t.Helper()
	store := open(t, as(t, dsn, "cardvault_app"))
	load(t, store, 1000)

	for role, statements := range map[string][]string{
		"cardvault_app": {
			"UPDATE audit_entries SET body = body",
			"UPDATE audit_entries SET tenant = 0",
			"TRUNCATE audit_entries",
			"UPDATE audit_chains SET wrapped = ''",
			"UPDATE audit_chains SET kek_kind = 'local'",
			"DELETE FROM audit_chains",
			"DELETE FROM log_chains",
			"UPDATE log_chains SET replica = gen_random_uuid()",
			"DELETE FROM log_head",
			"INSERT INTO log_head SELECT * FROM log_head",
			"UPDATE log_head SET id = 0",
			"UPDATE log_runs SET replica = gen_random_uuid()",
			"DELETE FROM log_runs",
			"TRUNCATE log_runs",
			"UPDATE log_tiles SET tile = 1",
			"DELETE FROM log_tiles",
			"TRUNCATE log_tiles",
			"INSERT INTO audit_entries SELECT * FROM audit_entries ON CONFLICT (replica, number) DO UPDATE SET body = excluded.body",
			"DROP TABLE audit_entries",
			"ALTER TABLE audit_entries DISABLE TRIGGER ALL",
			"SET session_replication_role = replica",
			"CREATE TABLE mine (id int)",
			"CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
			"DELETE FROM cards",
			"TRUNCATE cards",
			"UPDATE cards SET fingerprint = gen_random_uuid()",
			"UPDATE cards SET tenant = 2",
			"UPDATE tenants SET name = 'other'",
			"DELETE FROM tenants",
			"DELETE FROM bin_ranges",
			"UPDATE bin_ranges SET first = 0",
			"DELETE FROM keys",
			"UPDATE keys SET wrapped = ''",
			"UPDATE goose_db_version SET version_id = 99",
			"SELECT * FROM goose_lock",
			"SET ROLE cardvault_owner",
		},
		"cardvault_auditor": {
			"SELECT * FROM cards",
			"SELECT * FROM tokens",
			"SELECT * FROM keys",
			"SELECT * FROM requests",
			"SELECT * FROM bin_ranges",
			"SELECT wrapped FROM audit_chains",
			"UPDATE log_head SET first = 0",
			"DELETE FROM log_tiles",
			"INSERT INTO audit_entries SELECT * FROM audit_entries",
			"UPDATE audit_entries SET body = body",
			"DELETE FROM audit_entries",
			"TRUNCATE audit_entries",
			"CREATE TABLE mine (id int)",
			"SET ROLE cardvault_app",
		},
	} {
		conn := connect(t, as(t, dsn, role))
		for _, statement := range statements {
			_, err := conn.Exec(t.Context(), statement)
			refused, ok := errors.AsType[*pgconn.PgError](err)
			if !ok || refused.Code != insufficientPrivilege {
				t.Errorf("%s: %s: %v, want it to be refused", role, statement, err)
			}
		}
	}

	auditor := connect(t, as(t, dsn, "cardvault_auditor"))
	var entries int
	if err := auditor.QueryRow(t.Context(), "SELECT count(*) FROM audit_entries JOIN tenants ON id = tenant").Scan(&entries); err != nil || entries == 0 {
		t.Errorf("the auditor sees %d entries, error %v", entries, err)
	}
	for _, columns := range []string{
		"* FROM log_chains", "* FROM log_head", "* FROM log_runs", "* FROM log_tiles", "replica, number, head, seal FROM audit_chains",
	} {
		if _, err := auditor.Exec(t.Context(), "SELECT "+columns); err != nil {
			t.Errorf("the auditor cannot read %s: %v", columns, err)
		}
	}
	if _, err := store.Head(t.Context(), uuid.New()); !errors.Is(err, vault.ErrNoRow) {
		t.Error(err)
	}
}

func strangersStayOut(t *testing.T, dsn string) {
	t.Helper()
	if _, err := connect(t, dsn).Exec(t.Context(), "CREATE ROLE stranger LOGIN"); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), as(t, dsn, "stranger"))
	if err == nil {
		_ = conn.Close(t.Context())
		t.Error("a role of another application connects to the vault's database")
	}
}

// A right that was given by hand, and one that a former version gave, end with the
// next migration.
func rightsTakenBack(t *testing.T, dsn string) {
	t.Helper()
	owner := as(t, dsn, "cardvault_owner")
	if _, err := connect(t, owner).Exec(t.Context(), "GRANT UPDATE (body), TRUNCATE ON audit_entries TO cardvault_app"); err != nil {
		t.Fatal(err)
	}
	app := connect(t, as(t, dsn, "cardvault_app"))
	if _, err := app.Exec(t.Context(), "TRUNCATE audit_entries"); err != nil {
		t.Fatalf("the right was not given: %v", err)
	}
	if _, _, err := postgres.Migrate(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"TRUNCATE audit_entries", "UPDATE audit_entries SET body = body"} {
		if _, err := app.Exec(t.Context(), statement); err == nil {
			t.Errorf("%s is still allowed", statement)
		}
	}
}

// The error names the next step.
func migrateAsApp(t *testing.T, dsn string) {
	t.Helper()
	if _, err := connect(t, dsn).Exec(t.Context(), "GRANT USAGE ON SCHEMA "+schemaOf(t, dsn)+" TO cardvault_app"); err != nil {
		t.Fatal(err)
	}
	_, _, err := postgres.Migrate(t.Context(), as(t, dsn, "cardvault_app"))
	if err == nil || !strings.Contains(err.Error(), "as the owner") {
		t.Errorf("error %v, want one that says who can", err)
	}
}
