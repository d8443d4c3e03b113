package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
)

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// collect runs one statement and returns its rows.
func collect[T any](ctx context.Context, q querier, scan pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, failure(err)
	}
	all, err := pgx.CollectRows(rows, scan)
	return all, failure(err)
}

// run is collect outside a transaction, repeated where that can help.
func run[T any](ctx context.Context, s *Store, scan pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	var all []T
	err := repeat(ctx, func() (err error) {
		all, err = collect(ctx, s.pool, scan, sql, args...)
		return err
	})
	return all, err
}

// only returns the one row of a query, or vault.ErrNoRow.
func only[T any](rows []T, err error) (T, error) {
	if err == nil && len(rows) == 0 {
		err = vault.ErrNoRow
	}
	if err != nil {
		var none T
		return none, err
	}
	return rows[0], nil
}

const maxAttempts = 20

// repeat runs f until it succeeds, fails in a way that another attempt cannot
// mend, or has failed maxAttempts times. f leaves nothing behind where it fails.
func repeat(ctx context.Context, f func() error) error {
	for attempt := 1; ; attempt++ {
		err := f()
		if err == nil || !repeatable(err) || attempt == maxAttempts || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause(attempt)):
		}
	}
}

// repeatable: the server gave up for the sake of another transaction, or the
// connection was gone, perhaps since long: the pool has others.
func repeatable(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok || errors.Is(err, vault.ErrUnknownOutcome) {
		return false
	}
	return hasCode(err, codeSerializationFailure) || hasCode(err, codeDeadlock) ||
		errors.Is(err, errLost) || pgconn.SafeToRetry(err)
}

// pause grows from 1 to 64 ms, less a random part, so that those who met once do
// not meet again.
func pause(attempt int) time.Duration {
	var random [1]byte
	rand.Read(random[:]) // crypto/rand never fails
	longest := time.Millisecond << min(attempt-1, 6)
	return longest/2 + longest/2*time.Duration(random[0])/256
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func at(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// uuids makes an array parameter. pgx encodes [16]byte several times faster than
// a type that it has to ask how.
func uuids[T ~[16]byte](ids []T) pgtype.FlatArray[[16]byte] {
	array := make(pgtype.FlatArray[[16]byte], len(ids))
	for i, id := range ids {
		array[i] = id
	}
	return array
}

// column makes an array parameter of one field of the rows.
func column[R, T any](rows []R, field func(*R) T) pgtype.FlatArray[T] {
	array := make(pgtype.FlatArray[T], len(rows))
	for i := range rows {
		array[i] = field(&rows[i])
	}
	return array
}

// nullable is NULL for the zero UUID.
func nullable[T ~[16]byte](id T) pgtype.UUID {
	return pgtype.UUID{Bytes: id, Valid: id != T(uuid.Nil)}
}

func scanUUID[T ~[16]byte](row pgx.CollectableRow) (T, error) {
	var id [16]byte
	err := row.Scan(&id)
	return T(id), err
}

func scanInt[T ~int16 | ~int32 | ~int64](row pgx.CollectableRow) (T, error) {
	var n int64
	err := row.Scan(&n)
	return T(n), err
}

// nullableHash is NULL for the zero hash.
func nullableHash(hash audit.Hash) []byte {
	if hash == (audit.Hash{}) {
		return nil
	}
	return hash[:]
}

// errValue refuses a row that this package cannot have written.
var errValue = errors.New("postgres: a column holds what it cannot")

// hashOf is the hash in a column, zero where it is NULL.
func hashOf(column []byte) (audit.Hash, error) {
	if column == nil {
		return audit.Hash{}, nil
	}
	if len(column) != tlog.HashSize {
		return audit.Hash{}, errValue
	}
	return audit.Hash(column), nil
}
