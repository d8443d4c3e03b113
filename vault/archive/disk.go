package archive

import (
	"errors"
	"io/fs"
	"os"
	"path"
)

// disk is what an Archive needs of a file system; paths are those of package fs.
// Tests put one in its place that forgets, when it crashes, what was not made
// durable.
type disk interface {
	fs.FS
	// Put makes a file, and the folders that it lies in, or gives it new content. Its
	// content is durable once Put has returned; its name is so after SyncFolder.
	// It may be called from several goroutines.
	Put(name string, content []byte) error
	// SyncFolder makes the names in a folder durable.
	SyncFolder(name string) error
	// Rename puts a file in the place of another. After a crash it is there whole, or
	// the other is.
	Rename(from, to string) error
	// RemoveAll removes a file, or a folder and what is in it, if it is there.
	RemoveAll(name string) error
}

// hardDisk is a folder of the machine's own. What is written is for its owner alone:
// the log says who did what.
type hardDisk struct {
	fs.FS
	root *os.Root
}

// openFolder opens a folder, after making it.
func openFolder(name string) (*hardDisk, error) {
	if err := os.MkdirAll(name, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &hardDisk{FS: root.FS(), root: root}, nil
}

// Close releases the folder.
func (d *hardDisk) Close() error { return d.root.Close() }

func (d *hardDisk) Put(name string, content []byte) error {
	f, err := d.create(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.root.MkdirAll(path.Dir(name), 0o700); err != nil {
			return err
		}
		f, err = d.create(name)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

func (d *hardDisk) create(name string) (*os.File, error) {
	return d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}

func (d *hardDisk) RemoveAll(name string) error { return d.root.RemoveAll(name) }
