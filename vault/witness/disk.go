package witness

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// disk is what a state needs of a file system. Tests put one in its place that
// forgets, when it crashes, what was not made durable.
type disk interface {
	// create makes an empty file for its owner alone, or empties the one there.
	create(path string) (file, error)
	rename(from, to string) error
	// syncFolder makes the names in a folder durable.
	syncFolder(path string) error
	read(path string) ([]byte, error)
}

type file interface {
	io.WriteCloser
	Sync() error
}

// replace gives the file new content. It is the old or the new after a crash at any
// time, and the new one once replace has returned nil.
func replace(d disk, path string, content []byte) error {
	fresh := path + ".new"
	f, err := d.create(fresh)
	if err != nil {
		return fmt.Errorf("make a file: %w", err)
	}
	_, err = f.Write(content)
	// The content is on disk before the name is, or the name could stand for less.
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write a file: %w", err)
	}
	if err := d.rename(fresh, path); err != nil {
		return fmt.Errorf("put the file in its place: %w", err)
	}
	if err := d.syncFolder(filepath.Dir(path)); err != nil {
		return fmt.Errorf("make the file's place durable: %w", err)
	}
	return nil
}

// hardDisk is the machine's own.
type hardDisk struct{}

func (hardDisk) create(path string) (file, error) {
	return os.OpenFile(filepath.Clean(path), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}

func (hardDisk) rename(from, to string) error { return rename(from, to) }

func (hardDisk) syncFolder(path string) error { return syncFolder(path) }

func (hardDisk) read(path string) (content []byte, err error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	content, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(content) > maxFile {
		err = errors.New("too long")
	}
	return content, err
}

// maxFile is far more than a state of a thousand logs has.
const maxFile = 256 << 20

// lock takes the file of a state for this process, by way of a second file that
// stays when the first is replaced. It ends with the process, however that ends.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Clean(path)+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
