package sqlite

import (
	"context"
	_ "embed"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitemigration"
)

// SchemaVersion is the version of the schema that this package reads and writes.
const SchemaVersion int64 = 2

// applicationID tells cardvault's files from others: "cvlt".
const applicationID = 0x63766c74

//go:embed migrations/0001_vault.sql
var vault0001 string

//go:embed migrations/0002_log.sql
var log0002 string

// SchemaError says that the file has a newer schema than this program knows.
type SchemaError struct{ Found, Known int64 }

// Error implements error and names the next step.
func (e *SchemaError) Error() string {
	return fmt.Sprintf("the file has schema version %d, this program knows %d: use the newer program that made it", e.Found, e.Known)
}

// migrate runs the scripts that are missing, each in a transaction. Two processes
// that start at once run each script once.
func migrate(ctx context.Context, conn *sqlite.Conn) error {
	version, err := only(collect(conn, scanInt, `PRAGMA user_version`))
	if err != nil {
		return err
	}
	if version > SchemaVersion {
		return &SchemaError{Found: version, Known: SchemaVersion}
	}
	return sqlitemigration.Migrate(ctx, conn, sqlitemigration.Schema{
		AppID:      applicationID,
		Migrations: []string{vault0001, log0002},
	})
}
