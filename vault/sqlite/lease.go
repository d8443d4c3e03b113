package sqlite

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/ledger"
)

const headColumns = `size, first, term, beat, holder, checkpoint`

func scanHead(r *row) (ledger.Head, error) {
	return ledger.Head{
		Size: r.int(), First: r.int(), Term: r.int(), Beat: r.int(), Holder: r.uuid(), Checkpoint: r.bytes(),
	}, nil
}

// errNoHead: an empty log has a head.
var errNoHead = errors.New("sqlite: the row of log_head is gone")

// LogHead implements ledger.Store.
func (s *Store) LogHead(ctx context.Context) (ledger.Head, error) {
	head, err := only(read(ctx, s, scanHead, `SELECT `+headColumns+` FROM log_head`))
	if errors.Is(err, vault.ErrNoRow) {
		err = errNoHead
	}
	return head, err
}

// TakeLease implements ledger.Store.
func (s *Store) TakeLease(ctx context.Context, was ledger.Head, holder uuid.UUID) (head ledger.Head, took bool, err error) {
	err = s.write(ctx, func(w *writer) (err error) {
		head, err = only(collect(w.conn, scanHead, `
			UPDATE log_head SET term = term + 1, beat = beat + 1, holder = ? WHERE term = ? AND beat = ?
			RETURNING `+headColumns, holder[:], was.Term, was.Beat))
		return err
	})
	if errors.Is(err, vault.ErrNoRow) {
		return ledger.Head{}, false, nil
	}
	if err != nil {
		return ledger.Head{}, false, err
	}
	return head, true, nil
}

// RenewLease implements ledger.Store.
func (s *Store) RenewLease(ctx context.Context, term int64) error {
	return s.write(ctx, func(w *writer) error {
		return w.fenced(`UPDATE log_head SET beat = beat + 1 WHERE term = ? AND term > 0`, term)
	})
}

// Publish implements ledger.Store.
func (s *Store) Publish(ctx context.Context, term int64, checkpoint []byte) error {
	return s.write(ctx, func(w *writer) error {
		return w.fenced(`UPDATE log_head SET checkpoint = ?2 WHERE term = ?1 AND term > 0`, term, nullableBytes(checkpoint))
	})
}

// fenced changes the row of the head, or returns ErrFenced where it is not as the
// statement wants it. Term 0 is nobody's.
func (w *writer) fenced(sql string, args ...any) error {
	if err := w.exec(sql, args...); err != nil {
		return err
	}
	if w.conn.Changes() == 0 {
		return ledger.ErrFenced
	}
	return nil
}
