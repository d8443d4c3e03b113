package server

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// Watch keeps what a program made of some files up to date with them. It looks at
// their content, because secrets are mounted through links whose times and inodes
// say little.
type Watch struct {
	files []string
	load  func(contents [][]byte) error

	mu     sync.Mutex
	loaded [sha256.Size]byte // of the contents that load last took
}

// NewWatch loads the files for the first time and returns load's error where it
// does not take them. load gets the contents in the order of files, all read
// before it is called. It must change nothing where it returns an error, so that
// the last good contents stay in use.
func NewWatch(files []string, load func(contents [][]byte) error) (*Watch, error) {
	w := &Watch{files: files, load: load}
	return w, w.Check()
}

// Check loads the files where they changed. Contents that were refused are tried
// again on every Check: what is wrong with them may be the time, or a second file
// that has not been written yet.
func (w *Watch) Check() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	contents := make([][]byte, len(w.files))
	sum := sha256.New()
	for i, file := range w.files {
		var err error
		if contents[i], err = os.ReadFile(file); err != nil {
			return fmt.Errorf("read: %w", err)
		}
		// The length keeps bytes from moving between files unseen.
		_, _ = sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(contents[i]))))
		_, _ = sum.Write(contents[i])
	}
	var found [sha256.Size]byte
	sum.Sum(found[:0])
	if found == w.loaded {
		return nil
	}
	if err := w.load(contents); err != nil {
		return err
	}
	w.loaded = found
	return nil
}

// Run checks at every interval until ctx ends. It logs each failure: as long as
// files are refused, the log says so at every interval.
func (w *Watch) Run(ctx context.Context, interval time.Duration, log *slog.Logger) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := w.Check(); err != nil {
			log.ErrorContext(ctx, "files refused, the last good ones stay in use",
				slog.String("files", strings.Join(w.files, " ")), slog.Any("error", err))
		}
	}
}
