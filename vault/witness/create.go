package witness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// ErrExposed is returned by ReadKey if users other than the owner may read or write
// the file.
var ErrExposed = errors.New("the file is open to others than its owner")

// Create makes a new witness: a key and an empty state, in files for their owner
// alone. It overwrites no key and no state that remembers anything: the error is
// fs.ErrExist then. A Create that was cut short can be repeated.
func Create(keyPath, statePath, name string) (err error) {
	key, err := NewKey(name)
	if err != nil {
		return err
	}
	held, err := lock(statePath)
	if err != nil {
		return fmt.Errorf("state file %s: %w", statePath, err)
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	return create(hardDisk{}, keyPath, statePath, key)
}

func create(d disk, keyPath, statePath string, key *Key) error {
	switch _, err := d.read(keyPath); {
	case err == nil:
		return fmt.Errorf("key file %s: %w", keyPath, fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("key file %s: %w", keyPath, err)
	}
	if err := forgettable(d, statePath); err != nil {
		return fmt.Errorf("state file %s: %w", statePath, err)
	}
	empty, err := encodeState(key.VerifierKey(), nil)
	if err != nil {
		return err
	}
	// The state is first: where a key is there was a witness, and its state may not
	// be missing.
	if err := replace(d, statePath, empty); err != nil {
		return fmt.Errorf("state file %s: %w", statePath, err)
	}
	text := []byte(key.Text())
	defer clear(text)
	if err := replace(d, keyPath, text); err != nil {
		return fmt.Errorf("key file %s: %w", keyPath, err)
	}
	return nil
}

// forgettable refuses a state that anyone could miss: only the one of a Create that
// was cut short is not.
func forgettable(d disk, path string) error {
	content, err := d.read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var f stateFile
	if json.Unmarshal(content, &f) != nil || f.Format != stateFormat || len(f.Checkpoints) != 0 {
		return fs.ErrExist
	}
	return nil
}

// maxKeyFile is more than any key has.
const maxKeyFile = 4 << 10

// ReadKey reads the key in a file that Create made. The error is fs.ErrNotExist if
// there is no file, and ErrExposed if others than its owner may use it.
func ReadKey(path string) (*Key, error) {
	content, err := readOwn(path)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	defer clear(content)
	key, err := ParseKey(string(content))
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return key, nil
}

func readOwn(path string) (content []byte, err error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	// The open file is asked, not the path, which may lead elsewhere by now.
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxKeyFile {
		return nil, errKey
	}
	// On Windows the bits say nothing about others.
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, ErrExposed
	}
	content = make([]byte, info.Size())
	_, err = io.ReadFull(f, content)
	return content, err
}
