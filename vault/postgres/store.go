// Package postgres is the vault's store, and its log's, on PostgreSQL.
//
// One Commit is one transaction, and what several replicas could want at once is
// decided in the statement: a row changes only where it still is as the writer
// saw it. So replicas need no lock service, no leader and no clock in common, and
// the SQL keeps to what PostgreSQL-compatible distributed engines run: no
// sequences, advisory locks, triggers, extensions or savepoints.
//
// Three rules keep it free of surprises:
//
//   - Rows of one call are written in the order of their keys, so that two calls
//     with the same rows wait for each other instead of deadlocking. Where the
//     engine still asks for it, the whole transaction is run again.
//   - A statement is never repeated whose outcome is unknown and matters: where the
//     connection breaks while committing, the caller gets vault.ErrUnknownOutcome.
//   - No error holds a value: see [ServerError].
//
// A list of keys is looked up key by key, by a LATERAL query with OFFSET 0, which
// keeps the planner from turning it round: PostgreSQL keeps a plan for as long as
// its statistics stand, and one that it made while a table was empty, for a list
// of keys it cannot see, reads all rows of the tenant when there are millions.
//
// Conflicts that are expected are answered by the statement and are no errors,
// because an error ends the transaction, which holds the work of many callers.
package postgres

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cardvault/cardvault/vault"
)

// Config says where the database is.
type Config struct {
	// ConnString is a postgres:// URL or keyword=value pairs, as libpq reads them.
	// Connections go to a server that takes writes, unless it says otherwise with
	// target_session_attrs.
	ConnString string
	// MaxConns bounds the connections of this replica; 0 takes 4, or one per CPU
	// where that is more.
	MaxConns int32
}

// Store is a vault.Store and a ledger.Store on PostgreSQL. Make one with Open.
type Store struct {
	pool *pgxpool.Pool
	// tenants and ranges keep names, which never change: string → int32 and
	// int32 → string. Only committed rows are kept.
	tenants, ranges sync.Map
}

var _ vault.Store = (*Store)(nil)

// Open connects to a migrated database. It refuses a schema other than
// SchemaVersion, and a server that acknowledges commits before they are durable.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	pc, err := pgxpool.ParseConfig(cfg.ConnString)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err) // pgx leaves the password out
	}
	if cfg.MaxConns > 0 {
		pc.MaxConns = cfg.MaxConns
	}
	if pc.ConnConfig.ValidateConnect == nil {
		// After a fail-over the former primary may still answer, read-only and late.
		pc.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", failure(err))
	}
	s := &Store{pool: pool}
	s.tenants.Store("", serverTenant)
	if err := s.check(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) check(ctx context.Context) error {
	if err := checkSchema(ctx, s.pool); err != nil {
		return err
	}
	var commit string
	if err := s.pool.QueryRow(ctx, "SHOW synchronous_commit").Scan(&commit); err != nil {
		return fmt.Errorf("postgres: %w", failure(err))
	}
	if commit == "off" {
		return errAsynchronous
	}
	return nil
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return failure(s.pool.Ping(ctx)) }

// Close ends the connections, once what is under way on them has ended.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}
