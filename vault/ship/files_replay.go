package ship

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// errOtherEntries is returned by Deliver if the folder holds other entries than
// those that are delivered, or lacks some in the middle.
var errOtherEntries = errors.New("the folder does not hold what was delivered before: give an empty one")

// replay reads entries that files hold already, and compares: an entry counts as
// delivered because its line stands there, not because its index does.
type replay struct {
	folder, suffix string
	names          []fileName // those not begun yet
	file           *os.File
	lines          *bufio.Reader
	next           int64
}

// newReplay stands before the entry of an index.
func newReplay(folder, suffix string, names []fileName, index int64) (*replay, error) {
	r := &replay{folder: folder, suffix: suffix, names: names}
	for len(r.names) > 1 && r.names[1].first <= index {
		r.names = r.names[1:]
	}
	if len(r.names) == 0 || r.names[0].first > index {
		return nil, errOtherEntries
	}
	r.next = r.names[0].first
	for r.next < index {
		if _, err := r.line(); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	return r, nil
}

// line returns the next entry's.
func (r *replay) line() ([]byte, error) {
	if len(r.names) > 0 && r.names[0].first == r.next {
		if err := r.begin(); err != nil {
			return nil, err
		}
	}
	if r.lines == nil {
		return nil, errOtherEntries
	}
	line, err := r.lines.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errOtherEntries, err)
	}
	r.next++
	return line[:len(line)-1], nil
}

// begin opens the next file.
func (r *replay) begin() error {
	if err := r.Close(); err != nil {
		return err
	}
	f, err := os.Open(filepath.Join(r.folder, r.names[0].String()+r.suffix))
	if err != nil {
		return err
	}
	r.file, r.lines, r.names = f, bufio.NewReaderSize(f, 1<<18), r.names[1:]
	return nil
}

// check compares the next entry.
func (r *replay) check(line []byte) error {
	held, err := r.line()
	if err == nil && !bytes.Equal(held, line) {
		err = errOtherEntries
	}
	return err
}

// Close closes the open file.
func (r *replay) Close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file, r.lines = nil, nil
	return err
}
