package sqlite

import (
	"context"

	"zombiezen.com/go/sqlite"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
)

// Commit implements vault.Store. Writers take turns, so fn runs once.
func (s *Store) Commit(ctx context.Context, fn func(ctx context.Context, tx vault.Tx) ([]audit.Record, error)) error {
	return s.write(ctx, func(w *writer) error {
		t := &tx{store: s, conn: w.conn}
		records, err := fn(ctx, t)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return vault.ErrNoRecords
		}
		w.stale = w.stale || t.erased
		if err := t.insertEntries(records); err != nil {
			return err
		}
		return t.flushTail()
	})
}

// tx is the transaction under way.
type tx struct {
	store *Store
	conn  *sqlite.Conn
	// erased: something was deleted that must leave no trace.
	erased bool
	// tail is where the chain ends after the transaction; nil: nobody said.
	tail *audit.Tail
}

var _ vault.Tx = (*tx)(nil)

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(sql string, args ...any) (int, error) {
	if _, err := collect(t.conn, scanInt, sql, args...); err != nil {
		return 0, err
	}
	return t.conn.Changes(), nil
}

// addGone adds n to a range's Gone. Range 0 is none.
func (t *tx) addGone(number, n int64) error {
	if number == 0 || n == 0 {
		return nil
	}
	_, err := t.exec(`UPDATE bin_ranges SET gone = gone + ? WHERE number = ?`, n, number)
	return err
}
