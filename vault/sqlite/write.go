package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/cardvault/cardvault/vault"
)

// writer is the connection that writes.
type writer struct {
	conn *sqlite.Conn
	// stale: the write-ahead log still holds what was deleted.
	stale bool
}

func openWriter(ctx context.Context, path string) (*writer, error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return nil, err
	}
	conn.SetBusyTimeout(busyTimeout)
	w := &writer{conn: conn}
	if err := w.prepare(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return w, nil
}

func (w *writer) prepare(ctx context.Context) error {
	if err := w.makeWAL(ctx); err != nil {
		return err
	}
	for _, pragma := range []string{
		"PRAGMA synchronous = FULL",
		"PRAGMA foreign_keys = ON",
		"PRAGMA secure_delete = ON",
	} {
		if err := sqlitex.ExecuteTransient(w.conn, pragma, nil); err != nil {
			return err
		}
	}
	return migrate(ctx, w.conn)
}

// makeWAL gives a new file its write-ahead log. SQLite does not wait here where
// another process is doing the same.
func (w *writer) makeWAL(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, busyTimeout)
	defer cancel()
	for {
		err := sqlitex.ExecuteTransient(w.conn, "PRAGMA journal_mode = WAL", nil)
		if sqlite.ErrCode(err).ToPrimary() != sqlite.ResultBusy {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// write runs f in a transaction. ErrUnknownOutcome: the disk failed while
// committing; what it kept shows when the file is opened again.
func (s *Store) write(ctx context.Context, f func(w *writer) error) error {
	select {
	case w := <-s.writing:
		defer func() { s.writing <- w }()
		return w.transact(ctx, f)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) transact(ctx context.Context, f func(w *writer) error) error {
	defer w.conn.SetInterrupt(w.conn.SetInterrupt(ctx.Done()))
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return interrupted(ctx, err)
	}
	defer w.rollback() // of what was not committed, also where f panics
	if err := f(w); err != nil {
		return interrupted(ctx, err)
	}
	// From here on the caller's patience decides nothing.
	w.conn.SetInterrupt(nil)
	if err := w.exec("COMMIT"); err != nil {
		return fmt.Errorf("%w: %w", vault.ErrUnknownOutcome, err)
	}
	w.scrub()
	return nil
}

func (w *writer) exec(sql string, args ...any) error {
	return sqlitex.Execute(w.conn, sql, &sqlitex.ExecOptions{Args: args})
}

// rollback must not be interrupted. SQLite has rolled back by itself after some errors.
func (w *writer) rollback() {
	w.conn.SetInterrupt(nil)
	if !w.conn.AutocommitEnabled() {
		_ = w.exec("ROLLBACK") // The error that led here is the one to return.
	}
}

// scrub empties the write-ahead log, where the pages lie as they were before a
// deletion. A read under way keeps it from that; then the next commit tries again.
func (w *writer) scrub() {
	if !w.stale {
		return
	}
	w.conn.SetBusyTimeout(0)
	defer w.conn.SetBusyTimeout(busyTimeout)
	busy, err := only(collect(w.conn, scanInt, `PRAGMA wal_checkpoint(TRUNCATE)`))
	w.stale = err != nil || busy != 0
}

// interrupted gives the context's error where it is the reason.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && sqlite.ErrCode(err) == sqlite.ResultInterrupt {
		return fmt.Errorf("sqlite: %w", ctx.Err())
	}
	return err
}
