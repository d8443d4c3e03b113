package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// SchemaVersion is the version of the schema that this package reads and writes.
const SchemaVersion int64 = 2

//go:embed migrations/*.sql
var embedded embed.FS

//go:embed grants.sql
var grants string

// SchemaError says that the database has another schema than this program knows.
type SchemaError struct{ Found, Known int64 }

// Error implements error and names the next step.
func (e *SchemaError) Error() string {
	if e.Found > e.Known {
		return fmt.Sprintf("postgres: the database has schema version %d, this program knows %d: use the newer program that made it", e.Found, e.Known)
	}
	return fmt.Sprintf("postgres: the database has schema version %d, this program needs %d: run `cardvault migrate`", e.Found, e.Known)
}

const selectSchemaVersion = `
SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`

func checkSchema(ctx context.Context, q querier) error {
	version, err := schemaVersion(ctx, q)
	if err == nil && version != SchemaVersion {
		return &SchemaError{Found: version, Known: SchemaVersion}
	}
	return err
}

func schemaVersion(ctx context.Context, q querier) (int64, error) {
	version, err := only(collect(ctx, q, scanInt[int64], selectSchemaVersion))
	if hasCode(err, codeUndefinedTable) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the schema version: %w", err)
	}
	return version, nil
}

// Migrate brings the database to SchemaVersion, from whichever version it has, and
// returns both. Several may run at once: one works, the others wait and then find
// nothing to do. It refuses a newer schema with a SchemaError. Where the roles of
// deploy/postgres/roles.sql exist it gives them their rights, each time anew.
func Migrate(ctx context.Context, connString string) (from, to int64, err error) {
	config, err := pgx.ParseConfig(connString)
	if err != nil {
		return 0, 0, fmt.Errorf("postgres: %w", err) // pgx leaves the password out
	}
	from, err = versionAt(ctx, config)
	if err != nil {
		return 0, 0, err
	}
	if from > SchemaVersion {
		return from, from, &SchemaError{Found: from, Known: SchemaVersion}
	}
	applied, err := up(ctx, config)
	if err != nil {
		return from, from, fmt.Errorf("migrate from schema version %d: %w", from, err)
	}
	if applied == 0 {
		from = SchemaVersion // another migrator was first
	}
	return from, SchemaVersion, nil
}

func versionAt(ctx context.Context, config *pgx.ConnConfig) (version int64, err error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return 0, failure(err)
	}
	defer func() { err = errors.Join(err, failure(conn.Close(ctx))) }()
	return schemaVersion(ctx, conn)
}

// up applies what is missing and returns how many migrations that were.
func up(ctx context.Context, config *pgx.ConnConfig) (applied int, err error) {
	db := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, db.Close()) }()
	provider, err := migrations(db)
	if err != nil {
		return 0, err
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return len(results), failure(err)
	}
	return len(results), grant(ctx, db)
}

// grant gives the roles their rights, one migrator at a time: PostgreSQL fails
// where two change the rights of one table at once.
func grant(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return failure(err)
	}
	defer func() { _ = tx.Rollback() }() // of what was not committed
	for _, sql := range []string{`SELECT value FROM counters WHERE name = 'bin_ranges' FOR UPDATE`, grants} {
		if _, err := tx.ExecContext(ctx, sql); err != nil {
			return failure(err)
		}
	}
	return failure(tx.Commit())
}

// migrations locks with a row in a table. A migrator that died is waited for until
// its lease ends.
func migrations(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresTableLocker(lock.WithTableLockTimeout(time.Second, 120))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithLocker(locker), goose.WithDisableGlobalRegistry(true))
}
