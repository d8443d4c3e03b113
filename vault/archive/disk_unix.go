//go:build unix

package archive

import "errors"

func (d *hardDisk) Rename(from, to string) error { return d.root.Rename(from, to) }

func (d *hardDisk) SyncFolder(name string) error {
	folder, err := d.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
