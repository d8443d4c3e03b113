package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
)

const rollbackTimeout = time.Second

// Commit implements vault.Store.
func (s *Store) Commit(ctx context.Context, fn func(ctx context.Context, tx vault.Tx) ([]audit.Record, error)) error {
	return s.transact(ctx, func(t *tx) error {
		records, err := fn(ctx, t)
		if err != nil {
			return err
		}
		return t.finish(ctx, records)
	})
}

// transact runs one transaction, from the start again where that can help. f ends
// it with finish or commit.
func (s *Store) transact(ctx context.Context, f func(t *tx) error) error {
	return repeat(ctx, func() error { return s.attempt(ctx, f) })
}

// attempt runs one transaction from beginning to end.
func (s *Store) attempt(ctx context.Context, f func(t *tx) error) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return failure(err)
	}
	defer conn.Release()
	t := &tx{store: s, conn: conn, gone: map[int32]int64{}, tenants: map[string]int32{}}
	if err := f(t); err != nil {
		t.rollback(ctx)
		return err
	}
	for name, id := range t.tenants {
		s.tenants.Store(name, id)
	}
	return nil
}

// tx is a transaction on one connection. It begins with the first statement, so
// that a commit of audit entries alone is one statement and one round trip.
type tx struct {
	store *Store
	conn  *pgxpool.Conn
	begun bool
	// gone collects what ranges lose, to be written last: the row of a busy range is
	// then locked for the length of the commit only, and in one order.
	gone map[int32]int64
	// tenants are those that others may not see yet.
	tenants map[string]int32
	// tail is where the chain ends after the transaction; nil: nobody said.
	tail *audit.Tail
}

var _ vault.Tx = (*tx)(nil)

func (t *tx) begin(ctx context.Context) error {
	if t.begun {
		return nil
	}
	t.begun = true
	_, err := t.conn.Exec(ctx, "BEGIN")
	return err
}

// Query implements querier.
func (t *tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := t.begin(ctx); err != nil {
		return nil, err
	}
	return t.conn.Query(ctx, sql, args...)
}

// each runs a statement n times, with the arguments that args returns, in one
// round trip. It returns how many rows each changed.
func (t *tx) each(ctx context.Context, sql string, n int, args func(i int) []any) ([]int64, error) {
	if n == 0 {
		return nil, nil
	}
	if err := t.begin(ctx); err != nil {
		return nil, failure(err)
	}
	batch := &pgx.Batch{}
	for i := range n {
		batch.Queue(sql, args(i)...)
	}
	results := t.conn.SendBatch(ctx, batch)
	changed := make([]int64, n)
	for i := range changed {
		tag, err := results.Exec()
		if err != nil {
			return nil, failure(errors.Join(err, closed(results)))
		}
		changed[i] = tag.RowsAffected()
	}
	return changed, failure(results.Close())
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	rows, err := t.Query(ctx, sql, args...)
	if err != nil {
		return 0, failure(err)
	}
	rows.Close()
	return rows.CommandTag().RowsAffected(), failure(rows.Err())
}

// finish writes what is left, the audit records last, and commits. The records
// travel with the COMMIT: until the server has read it, nothing has happened; when
// it has answered, everything is durable.
func (t *tx) finish(ctx context.Context, records []audit.Record) error {
	if len(records) == 0 {
		return vault.ErrNoRecords
	}
	if err := t.flushGone(ctx); err != nil {
		return err
	}
	insert, err := t.entries(ctx, records)
	if err != nil {
		return err
	}
	batch := &pgx.Batch{}
	if t.tail == nil {
		batch.Queue(insertEntries, insert...)
	} else {
		batch.Queue(insertSealed, append(insert, tailArgs(t.tail)...)...)
	}
	return t.commit(ctx, batch)
}

// commit runs the last statements of the transaction, and ends it where it began.
func (t *tx) commit(ctx context.Context, batch *pgx.Batch) error {
	if t.begun {
		batch.Queue("COMMIT")
	}
	return outcome(t.send(ctx, batch))
}

func (t *tx) send(ctx context.Context, batch *pgx.Batch) error {
	results := t.conn.SendBatch(ctx, batch)
	for _, query := range batch.QueuedQueries {
		tag, err := results.Exec()
		if err == nil && query.SQL == "COMMIT" && tag.String() != "COMMIT" {
			err = errRolledBack
		}
		if err != nil {
			return errors.Join(err, closed(results))
		}
	}
	return results.Close()
}

// closed ends a batch that failed. Only a lost connection adds to what is known.
func closed(results pgx.BatchResults) error {
	if err := results.Close(); isNetwork(err) {
		return err
	}
	return nil
}

var errRolledBack = errors.New("postgres: the server rolled back what it was told to commit")

// outcome tells what is known once the end of a transaction was sent.
func outcome(err error) error {
	if errors.Is(err, errRolledBack) {
		return errRolledBack
	}
	return settled(failure(err))
}

// settled is the failure of what ends a transaction, or is one by itself: an error
// of the server means that it rolled back; a lost connection tells nothing.
func settled(err error) error {
	switch {
	case errors.Is(err, errLost):
		return fmt.Errorf("%w: %w", vault.ErrUnknownOutcome, err)
	case violates(err, "audit_entries_pkey"):
		return fmt.Errorf("audit entry: %w", vault.ErrTaken)
	default:
		return err
	}
}

// rollback ends a transaction that failed. Where this fails too, the pool closes
// the connection, and the server rolls back when it notices.
func (t *tx) rollback(ctx context.Context) {
	if !t.begun || t.conn.Conn().IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	_, _ = t.conn.Exec(ctx, "ROLLBACK")
}

const addGone = `
UPDATE bin_ranges SET gone = gone + $2 WHERE number = $1`

func (t *tx) flushGone(ctx context.Context) error {
	if len(t.gone) == 0 {
		return nil
	}
	numbers := slices.Sorted(maps.Keys(t.gone))
	_, err := t.each(ctx, addGone, len(numbers), func(i int) []any { return []any{numbers[i], t.gone[numbers[i]]} })
	return err
}
