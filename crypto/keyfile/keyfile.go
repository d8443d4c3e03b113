// Package keyfile keeps a key in a file, in clear, for what is NOT FOR PRODUCTION:
// a laptop without a server for keys.
//
// The file holds a header, one line that says what it is, and a line with the key, and
// is readable by its owner alone; a file that others can read is refused. It is made
// once, whole or not at all, and never written again.
package keyfile

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cardvault/cardvault/crypto/secret"
)

var (
	// ErrExposed is returned by Open if users other than the owner may read or write
	// the file.
	ErrExposed = errors.New("file is open to others than its owner")

	errFormat = errors.New("file is not the key file it should be, or is damaged")
)

// Create puts a key into a new file that only its owner can read. The file and its
// place in the folder are durable when it returns. If there is a file already it is
// left as it is, and the error is fs.ErrExist: to overwrite a key would lose all that
// it is for. The header is a line with its line break.
func Create(path, header string, key secret.Bytes) error {
	return write(path, format(header, key))
}

// Open returns the key of size bytes in a file that Create made with the same header.
// The error is [ErrExposed] if others than its owner may read the file, and
// fs.ErrNotExist if there is none.
func Open(path, header string, size int) (secret.Bytes, error) {
	content, err := read(path, fileSize(header, size))
	if err != nil {
		return secret.Bytes{}, err
	}
	defer clear(content)
	key, err := parse(content, header, size)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("%w: %s", err, path)
	}
	return key, nil
}

// fileSize is the size of every file of a key of size bytes: the header and a line of
// base64.
func fileSize(header string, size int) int {
	return len(header) + base64.StdEncoding.EncodedLen(size) + 1
}

func format(header string, key secret.Bytes) []byte {
	content := append(make([]byte, 0, fileSize(header, key.Len())), header...)
	content = base64.StdEncoding.AppendEncode(content, key.Reveal())
	return append(content, '\n')
}

func parse(content []byte, header string, size int) (secret.Bytes, error) {
	line, found := bytes.CutPrefix(content, []byte(header))
	// The size is checked first, since the decoder skips line breaks.
	if !found || len(content) != fileSize(header, size) || !bytes.HasSuffix(line, []byte("\n")) {
		return secret.Bytes{}, errFormat
	}
	key, err := base64.StdEncoding.Strict().AppendDecode(nil, line[:len(line)-1])
	if err != nil || len(key) != size {
		return secret.Bytes{}, errFormat // no cause: it would quote the line
	}
	return secret.New(key), nil
}

// read returns the content of a file that only its owner can open, and of no file
// longer than size more than a byte too much.
func read(path string, size int) (content []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	// The open file is asked, not the path, which may lead elsewhere by now.
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s", errFormat, path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %o; run chmod 600 on it, or make a new one if others may have read it", ErrExposed, path, mode)
	}
	return io.ReadAll(io.LimitReader(f, int64(size)+1))
}

// write makes a file of content, durably, whole or not at all.
func write(path string, content []byte) (err error) {
	defer clear(content)
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	// The content is on disk before the name is. A link, unlike a rename, takes the
	// place of nothing that is there.
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes the names in a folder durable.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
