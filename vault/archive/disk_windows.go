package archive

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

// Rename is durable when it returns: folders cannot be synced here.
func (d *hardDisk) Rename(from, to string) error {
	old, err := windows.UTF16PtrFromString(filepath.Join(d.root.Name(), from))
	if err != nil {
		return err
	}
	place, err := windows.UTF16PtrFromString(filepath.Join(d.root.Name(), to))
	if err != nil {
		return err
	}
	return windows.MoveFileEx(old, place, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH)
}

func (d *hardDisk) SyncFolder(string) error { return nil }
