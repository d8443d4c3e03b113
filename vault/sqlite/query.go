package sqlite

import (
	"context"
	"errors"
	"math"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
)

// collect runs one statement and returns its rows.
func collect[T any](conn *sqlite.Conn, scan func(*row) (T, error), sql string, args ...any) ([]T, error) {
	var all []T
	err := sqlitex.Execute(conn, sql, &sqlitex.ExecOptions{
		Args: args,
		ResultFunc: func(stmt *sqlite.Stmt) error {
			r := row{stmt: stmt}
			one, err := scan(&r)
			all = append(all, one)
			return errors.Join(err, r.err)
		},
	})
	return all, err
}

// read is collect on a connection that only reads.
func read[T any](ctx context.Context, s *Store, scan func(*row) (T, error), sql string, args ...any) ([]T, error) {
	var all []T
	err := s.reading(ctx, func(conn *sqlite.Conn) (err error) {
		all, err = collect(conn, scan, sql, args...)
		return err
	})
	return all, err
}

// reading runs f on a connection that only reads.
func (s *Store) reading(ctx context.Context, f func(conn *sqlite.Conn) error) error {
	conn, err := s.readers.Take(ctx)
	if err != nil {
		return err
	}
	defer s.readers.Put(conn)
	return interrupted(ctx, f(conn))
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

// row reads the columns of a row from left to right.
type row struct {
	stmt   *sqlite.Stmt
	column int
	err    error
}

// errValue refuses a row that this package cannot have written.
var errValue = errors.New("sqlite: a column holds what it cannot")

func (r *row) next() int {
	r.column++
	return r.column - 1
}

func (r *row) int() int64 { return r.stmt.ColumnInt64(r.next()) }
func (r *row) int32() int32 {
	n := r.int()
	if n < math.MinInt32 || n > math.MaxInt32 {
		r.err = errValue
		return 0
	}
	return int32(n)
}

func (r *row) int16() int16 {
	n := r.int()
	if n < math.MinInt16 || n > math.MaxInt16 {
		r.err = errValue
		return 0
	}
	return int16(n)
}

func (r *row) bool() bool   { return r.stmt.ColumnBool(r.next()) }
func (r *row) text() string { return r.stmt.ColumnText(r.next()) }

func (r *row) time() time.Time {
	micros := r.int()
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// uuid is zero where the column is NULL.
func (r *row) uuid() [16]byte {
	var id [16]byte
	i := r.next()
	if !r.stmt.ColumnIsNull(i) && (r.stmt.ColumnLen(i) != len(id) || r.stmt.ColumnBytes(i, id[:]) != len(id)) {
		r.err = errValue
	}
	return id
}

// bytes is nil where the column is NULL.
func (r *row) bytes() []byte {
	i := r.next()
	if r.stmt.ColumnIsNull(i) {
		return nil
	}
	buf := make([]byte, r.stmt.ColumnLen(i))
	r.stmt.ColumnBytes(i, buf)
	return buf
}

// hash is zero where the column is NULL.
func (r *row) hash() audit.Hash {
	b := r.bytes()
	if b == nil {
		return audit.Hash{}
	}
	if len(b) != tlog.HashSize {
		r.err = errValue
		return audit.Hash{}
	}
	return audit.Hash(b)
}

func scanInt(r *row) (int64, error) { return r.int(), nil }

func scanInt32(r *row) (int32, error) { return r.int32(), nil }

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// nullable is NULL for the zero UUID.
func nullable[T ~[16]byte](id T) any {
	b := [16]byte(id)
	if b == [16]byte{} {
		return nil
	}
	return b[:]
}

// nullableBytes is NULL for none.
func nullableBytes(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// nullableHash is NULL for the zero hash.
func nullableHash(hash audit.Hash) any {
	if hash == (audit.Hash{}) {
		return nil
	}
	return hash[:]
}
