package postgres_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cardvault/cardvault/vault/postgres"
	"github.com/cardvault/cardvault/vault/vaulttest/pgtest"
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	for _, from := range []int64{0, postgres.SchemaVersion} {
		gotFrom, to, err := postgres.Migrate(t.Context(), dsn)
		if err != nil || gotFrom != from || to != postgres.SchemaVersion {
			t.Fatalf("Migrate = %d, %d, %v, want %d, %d", gotFrom, to, err, from, postgres.SchemaVersion)
		}
	}
	open(t, dsn)
}

func TestMigratorsTogether(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if _, to, err := postgres.Migrate(t.Context(), dsn); err != nil || to != postgres.SchemaVersion {
				t.Errorf("Migrate = %d, %v", to, err)
			}
		})
	}
	group.Wait()
	open(t, dsn)
}

func TestOpenRefusesAnotherSchema(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	_, err := postgres.Open(t.Context(), postgres.Config{ConnString: dsn})
	wantSchemaError(t, err, 0, "cardvault migrate")

	migrated(t, dsn)
	newer := postgres.SchemaVersion + 1
	_, err = connect(t, dsn).Exec(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, true)", newer)
	if err != nil {
		t.Fatal(err)
	}
	_, err = postgres.Open(t.Context(), postgres.Config{ConnString: dsn})
	wantSchemaError(t, err, newer, "newer program")
	_, _, err = postgres.Migrate(t.Context(), dsn)
	wantSchemaError(t, err, newer, "newer program")
}

func wantSchemaError(t *testing.T, err error, found int64, next string) {
	t.Helper()
	schema, ok := errors.AsType[*postgres.SchemaError](err)
	if !ok || schema.Found != found || schema.Known != postgres.SchemaVersion || !strings.Contains(err.Error(), next) {
		t.Errorf("error %v, want a SchemaError that found %d and says %q", err, found, next)
	}
}

// SchemaVersion is the number of the last migration, and there is no gap before it.
func TestSchemaVersionIsTheLastMigration(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(os.DirFS("migrations"), "*.sql")
	if err != nil || int64(len(files)) != postgres.SchemaVersion {
		t.Fatalf("%d migrations, error %v, want %d", len(files), err, postgres.SchemaVersion)
	}
	for i, file := range files {
		if want := fmt.Sprintf("%04d_", i+1); !strings.HasPrefix(filepath.Base(file), want) {
			t.Errorf("migration %s, want %s…", file, want)
		}
	}
}
