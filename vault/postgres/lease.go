package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/ledger"
)

const (
	headColumns = `size, first, term, beat, holder, checkpoint`
	selectLog   = `
SELECT ` + headColumns + ` FROM log_head WHERE id = 0`
	takeLease = `
UPDATE log_head SET term = term + 1, beat = beat + 1, holder = $3 WHERE id = 0 AND term = $1 AND beat = $2
RETURNING ` + headColumns
	// Term 0 is nobody's.
	whereTerm = `
WHERE id = 0 AND term = $1 AND term > 0`
	renewLease = `
UPDATE log_head SET beat = beat + 1` + whereTerm + ` RETURNING term`
	publish = `
UPDATE log_head SET checkpoint = $2` + whereTerm + ` RETURNING term`
)

func scanLog(row pgx.CollectableRow) (ledger.Head, error) {
	var h ledger.Head
	var holder pgtype.UUID
	err := row.Scan(&h.Size, &h.First, &h.Term, &h.Beat, &holder, &h.Checkpoint)
	h.Holder = holder.Bytes
	return h, err
}

// errNoHead: an empty log has a head.
var errNoHead = errors.New("postgres: the row of log_head is gone")

// LogHead implements ledger.Store.
func (s *Store) LogHead(ctx context.Context) (ledger.Head, error) {
	head, err := only(run(ctx, s, scanLog, selectLog))
	if errors.Is(err, vault.ErrNoRow) {
		err = errNoHead
	}
	return head, err
}

// write runs a statement that is a transaction by itself. It is not repeated where
// the connection breaks: it may have been done, and then would find itself too late.
func write[T any](ctx context.Context, s *Store, scan pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	var rows []T
	err := s.transact(ctx, func(t *tx) (err error) {
		rows, err = collect(ctx, t.conn, scan, sql, args...)
		return settled(err)
	})
	return rows, err
}

// TakeLease implements ledger.Store.
func (s *Store) TakeLease(ctx context.Context, was ledger.Head, holder uuid.UUID) (ledger.Head, bool, error) {
	head, err := only(write(ctx, s, scanLog, takeLease, was.Term, was.Beat, [16]byte(holder)))
	if errors.Is(err, vault.ErrNoRow) {
		return ledger.Head{}, false, nil
	}
	return head, err == nil, err
}

// RenewLease implements ledger.Store.
func (s *Store) RenewLease(ctx context.Context, term int64) error {
	return fenced(write(ctx, s, scanInt[int64], renewLease, term))
}

// Publish implements ledger.Store.
func (s *Store) Publish(ctx context.Context, term int64, checkpoint []byte) error {
	return fenced(write(ctx, s, scanInt[int64], publish, term, checkpoint))
}

// fenced is ErrFenced where a change of the head changed none.
func fenced(rows []int64, err error) error {
	if err == nil && len(rows) == 0 {
		return ledger.ErrFenced
	}
	return err
}
