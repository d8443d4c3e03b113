package archive

import (
	"path"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// parallel writes wait for the disk together: what most of them wait for is the
// same flush of it.
const parallel = 16

// writer writes files, several at once. Nothing can be said of any of them until
// flush has returned.
type writer struct {
	disk    disk
	group   errgroup.Group
	broken  atomic.Pointer[error]
	folders map[string]bool // those whose names are not durable yet
}

// put has a file written. The content is not changed afterwards.
func (w *writer) put(name string, content []byte) {
	if w.folders == nil {
		w.folders = map[string]bool{}
		w.group.SetLimit(parallel)
	}
	w.folders["."] = true
	for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
		w.folders[folder] = true
	}
	w.group.Go(func() error {
		err := w.disk.Put(name, content)
		if err != nil {
			w.broken.CompareAndSwap(nil, &err)
		}
		return err
	})
}

// err returns what went wrong so far.
func (w *writer) err() error {
	if err := w.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// wait returns once nothing is being written.
func (w *writer) wait() error { return w.group.Wait() }

// flush makes all files durable, and their names.
func (w *writer) flush() error {
	if err := w.wait(); err != nil {
		return err
	}
	for folder := range w.folders {
		if err := w.disk.SyncFolder(folder); err != nil {
			return err
		}
	}
	clear(w.folders)
	return nil
}
