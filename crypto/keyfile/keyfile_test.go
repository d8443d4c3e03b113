package keyfile_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cardvault/cardvault/crypto/keyfile"
	"github.com/cardvault/cardvault/crypto/secret"
)

const header = "test key v1, NOT FOR PRODUCTION\n"

func create(t *testing.T) (key secret.Bytes, path string) {
	t.Helper()
	path, key = filepath.Join(t.TempDir(), "key"), secret.Random(32)
	if err := keyfile.Create(path, header, key); err != nil {
		t.Fatal(err)
	}
	return key, path
}

func read(tb testing.TB, path string) []byte {
	tb.Helper()
	content, err := fs.ReadFile(os.DirFS(filepath.Dir(path)), filepath.Base(path))
	if err != nil {
		tb.Fatal(err)
	}
	return content
}

func TestOpenReturnsWhatCreateWasGiven(t *testing.T) {
	key, path := create(t)
	opened, err := keyfile.Open(path, header, 32)
	if err != nil || !opened.Equal(key) {
		t.Errorf("a key came back changed: %v", err)
	}
}

// What is a key of something else is none of ours.
func TestForeignKeysAreRefused(t *testing.T) {
	_, path := create(t)
	for header, size := range map[string]int{header: 16, "test key v2\n": 32, "": 32} {
		if key, err := keyfile.Open(path, header, size); err == nil || key.Len() != 0 {
			t.Errorf("opened as %d bytes of %q", size, header)
		}
	}
}

func TestFileIsItsOwnersAlone(t *testing.T) {
	_, path := create(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("mode %o", info.Mode())
	}
	if !strings.Contains(string(read(t, path)), "NOT FOR PRODUCTION") {
		t.Error("the file does not say what it is")
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

func TestExposedFileIsRefused(t *testing.T) {
	_, path := create(t)
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o602, 0o610, 0o666, 0o777} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if key, err := keyfile.Open(path, header, 32); !errors.Is(err, keyfile.ErrExposed) || key.Len() != 0 {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	for _, mode := range []fs.FileMode{0o600, 0o400} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := keyfile.Open(path, header, 32); err != nil {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

// To overwrite a key would lose all that it is for.
func TestCreateOverwritesNothing(t *testing.T) {
	_, path := create(t)
	before := read(t, path)
	if err := keyfile.Create(path, header, secret.Random(32)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create over a key: %v", err)
	}
	if !bytes.Equal(before, read(t, path)) {
		t.Error("the file changed")
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

func TestOneOfManyCreates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	var made atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			switch err := keyfile.Create(path, header, secret.Random(32)); {
			case err == nil:
				made.Add(1)
			case !errors.Is(err, fs.ErrExist):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("%d keys made in one file", made.Load())
	}
	if _, err := keyfile.Open(path, header, 32); err != nil {
		t.Error(err)
	}
}

func TestMissingFiles(t *testing.T) {
	if _, err := keyfile.Open(filepath.Join(t.TempDir(), "key"), header, 32); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of no file: %v", err)
	}
	if err := keyfile.Create(filepath.Join(t.TempDir(), "no", "key"), header, secret.Random(32)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Create in no folder: %v", err)
	}
	folder := filepath.Join(t.TempDir(), "key")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := keyfile.Open(folder, header, 32); err == nil {
		t.Error("Open of a folder")
	}
}

// A damaged file is refused, and what is left of the key stays out of the error.
func TestDamagedFileIsRefused(t *testing.T) {
	_, path := create(t)
	whole := read(t, path)
	lines := bytes.SplitAfter(whole, []byte("\n"))
	key := lines[1]
	damaged := map[string][]byte{
		"empty":          nil,
		"no header":      key,
		"no key":         lines[0],
		"other header":   append([]byte("x"), whole[1:]...),
		"no line break":  whole[:len(whole)-1],
		"a byte more":    append(bytes.Clone(whole), '\n'),
		"twice":          append(bytes.Clone(whole), whole...),
		"short key":      append(bytes.Clone(lines[0]), key[4:]...),
		"not base64":     append(bytes.Clone(lines[0]), "!"+string(key[1:])...),
		"broken line":    append(bytes.Clone(lines[0]), "\n"+string(key[:len(key)-1])...),
		"break for pad":  append(bytes.Clone(lines[0]), string(key[:len(key)-2])+"\n\n"...),
		"33 bytes":       append(bytes.Clone(lines[0]), base64.StdEncoding.EncodeToString(make([]byte, 33))+"\n"...),
		"another end":    append(bytes.Clone(whole[:len(whole)-1]), 'x'),
		"stray last bit": append(bytes.Clone(lines[0]), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n"...),
	}
	for name, content := range damaged {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			opened, err := keyfile.Open(path, header, 32)
			if err == nil || opened.Len() != 0 {
				t.Fatalf("opened %q", content)
			}
			if strings.Contains(err.Error(), string(key[8:16])) {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
}

func FuzzOpen(f *testing.F) {
	path := filepath.Join(f.TempDir(), "key")
	if err := keyfile.Create(path, header, secret.Random(32)); err != nil {
		f.Fatal(err)
	}
	whole := read(f, path)
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := keyfile.Open(path, header, 32); err == nil && len(content) != len(whole) {
			t.Errorf("opened %q", content)
		}
	})
}
