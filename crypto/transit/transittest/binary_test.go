package transittest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// newTree returns a source folder with one file, and where its target goes.
func newTree(t *testing.T) (target, source, file string) {
	t.Helper()
	source = t.TempDir()
	file = filepath.Join(source, "main.go")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(t.TempDir(), "cache", "server"), source, file
}

// counting is a build that counts itself.
func counting(builds *atomic.Int32) func(string) error {
	return func(output string) error {
		builds.Add(1)
		return os.WriteFile(output, []byte("built"), 0o600)
	}
}

func TestManyWantTheBinaryAndOneBuildsIt(t *testing.T) {
	target, source, _ := newTree(t)
	var builds atomic.Int32
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if err := ensure(target, source, counting(&builds)); err != nil {
				t.Error(err)
			}
			if text, err := os.ReadFile(target); err != nil || string(text) != "built" {
				t.Errorf("target = %q, %v", text, err)
			}
		})
	}
	all.Wait()
	if got := builds.Load(); got != 1 {
		t.Errorf("built %d times", got)
	}
}

func TestBinaryIsBuiltAgainWhenASourceIsNewer(t *testing.T) {
	target, source, file := newTree(t)
	var builds atomic.Int32
	for range 2 {
		if err := ensure(target, source, counting(&builds)); err != nil {
			t.Fatal(err)
		}
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(file, later, later); err != nil {
		t.Fatal(err)
	}
	if err := ensure(target, source, counting(&builds)); err != nil {
		t.Fatal(err)
	}
	if got := builds.Load(); got != 2 {
		t.Errorf("built %d times; want once, and once more for the newer source", got)
	}
}

func TestFailedBuildLeavesNoBinary(t *testing.T) {
	target, source, _ := newTree(t)
	broken := errors.New("does not compile")
	err := ensure(target, source, func(output string) error {
		return errors.Join(os.WriteFile(output, []byte("half"), 0o600), broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("error = %v; want %v", err, broken)
	}
	if _, err := os.Stat(target); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat of the target: %v; want that it does not exist", err)
	}
}

func TestVariableNamesTheBinary(t *testing.T) {
	t.Setenv(binaryVariable, "/opt/devvault")
	if got := binary(t); got != "/opt/devvault" {
		t.Errorf("binary = %q", got)
	}
}
