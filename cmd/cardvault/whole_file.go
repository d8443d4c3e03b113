package main

import (
	"io"
	"os"
	"path/filepath"
)

// writeWhole puts a whole file in place, or leaves what was there. Only its owner
// can read it. flag is what named it.
func writeWhole(flag, path string, write func(io.Writer) error) (err error) {
	next := "give a file in a folder that can be written to with " + flag
	f, err := os.CreateTemp(filepath.Dir(path), ".cardvault-*")
	if err != nil {
		return failed(next, flag+": %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		_ = f.Close()
		return failed(next, flag+": %w", err)
	}
	if err := f.Close(); err != nil {
		return failed(next, flag+": %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return failed(next, flag+": %w", err)
	}
	return nil
}
