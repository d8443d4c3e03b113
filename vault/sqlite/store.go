// Package sqlite is the vault's store in one file: for development, and for a
// single node that needs no second.
//
// One connection writes; a few read, each from the last commit, and wait for
// nobody. A commit is on disk before it returns (synchronous = FULL). What is
// deleted is overwritten, in the file at once and in its write-ahead log as soon
// as no read stands in the way.
//
// Several processes can open one file: they take turns to write.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/cardvault/cardvault/vault"
)

const (
	readers = 4
	// busyTimeout is how long a writer waits for one in another process.
	busyTimeout = 10 * time.Second
)

// Store is a vault.Store and a ledger.Store in a file. Make one with Open.
type Store struct {
	readers *sqlitex.Pool
	// writing holds the one connection that writes; whoever has it is writing.
	writing chan *writer
	// tenants keeps numbers by name, which never change: string → int64. Only
	// committed rows are kept.
	tenants sync.Map
}

var _ vault.Store = (*Store)(nil)

// Open opens the store at path, makes it where there is none, and brings its
// schema up to SchemaVersion. It refuses a newer schema, a file of another program,
// and one that other users of the machine can read.
func Open(ctx context.Context, path string) (*Store, error) {
	if err := secure(path); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	w, err := openWriter(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	pool, err := sqlitex.NewPool(path, sqlitex.PoolOptions{Flags: sqlite.OpenReadOnly, PoolSize: readers})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: open %s to read: %w", path, err), w.conn.Close())
	}
	s := &Store{readers: pool, writing: make(chan *writer, 1)}
	s.tenants.Store("", serverTenant)
	s.writing <- w
	return s, nil
}

// secure makes the file before SQLite does, so that it is private from its first
// byte on. The write-ahead log gets the same mode. A file that is there is not
// opened: closing it again would end the locks that another Store of this process
// holds on it (https://www.sqlite.org/howtocorrupt.html, 2.2).
func secure(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		return file.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s has mode %#o, so other users can reach it: chmod 600", path, mode)
	}
	return nil
}

// Ping reports whether the file can be read.
func (s *Store) Ping(ctx context.Context) error {
	_, err := read(ctx, s, scanInt, `SELECT count(*) FROM tenants`)
	return err
}

// Close waits for the write under way, and closes the file. Nothing may be called
// after it.
func (s *Store) Close() error {
	w := <-s.writing
	err := s.readers.Close() // first, so that the log can be emptied into the file
	return errors.Join(err, w.conn.Close())
}
