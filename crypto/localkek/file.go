package localkek

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cardvault/cardvault/crypto/envelope"
	"github.com/cardvault/cardvault/crypto/secret"
)

// header is the first line of the file, for whoever finds it.
const header = "cardvault local KEK v1, NOT FOR PRODUCTION\n"

// fileSize is the size of every such file: the header and a line of base64.
const fileSize = len(header) + (envelope.KeySize+2)/3*4 + 1

var (
	// ErrExposed is returned by Open if users other than the owner may read or write
	// the file.
	ErrExposed = errors.New("localkek: file is open to others than its owner")

	errFormat = errors.New("localkek: file is not a KEK file, or is damaged")
)

// Create makes a new KEK in a new file that only its owner can read. The file and
// its place in the folder are durable when it returns. If there is a file already
// it is left as it is, and the error is fs.ErrExist: to overwrite a KEK would
// lose every key that it wrapped.
func Create(path string) (*KEK, error) {
	raw := secret.Random(envelope.KeySize)
	if err := write(path, format(raw)); err != nil {
		return nil, fmt.Errorf("localkek: %w", err)
	}
	return newKEK(raw)
}

// Open reads the KEK in a file that Create made. The error is [ErrExposed] if
// others than its owner may read the file, and fs.ErrNotExist if there is none.
func Open(path string) (*KEK, error) {
	content, err := read(path)
	if err != nil {
		return nil, err
	}
	defer clear(content)
	raw, err := parse(content)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, path)
	}
	return newKEK(raw)
}

func format(raw secret.Bytes) []byte {
	content := append(make([]byte, 0, fileSize), header...)
	content = base64.StdEncoding.AppendEncode(content, raw.Reveal())
	return append(content, '\n')
}

func parse(content []byte) (secret.Bytes, error) {
	line, found := bytes.CutPrefix(content, []byte(header))
	// The size is checked first, since the decoder skips line breaks.
	if !found || len(content) != fileSize || !bytes.HasSuffix(line, []byte("\n")) {
		return secret.Bytes{}, errFormat
	}
	raw, err := base64.StdEncoding.Strict().AppendDecode(nil, line[:len(line)-1])
	if err != nil || len(raw) != envelope.KeySize {
		return secret.Bytes{}, errFormat // no cause: it would quote the line
	}
	return secret.New(raw), nil
}

// read returns the content of a file that only its owner can open.
func read(path string) (content []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("localkek: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	// The open file is asked, not the path, which may lead elsewhere by now.
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("localkek: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s", errFormat, path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %o; run chmod 600 on it, or make a new one if others may have read it", ErrExposed, path, mode)
	}
	content, err = io.ReadAll(io.LimitReader(f, int64(fileSize)+1))
	if err != nil {
		return nil, fmt.Errorf("localkek: %w", err)
	}
	return content, nil
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
