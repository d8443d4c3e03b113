package transittest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// binaryVariable names a binary to use instead of building one.
const binaryVariable = "CARDVAULT_TRANSIT_BIN"

// binary returns the path of the server's binary, which it builds if need be.
func binary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(binaryVariable); path != "" {
		return path
	}
	root, err := repositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	source, target := filepath.Join(root, "deploy", "devvault"), filepath.Join(root, ".cache", "devvault")
	err = ensure(target, source, func(output string) error { return build(t.Context(), source, output) })
	if err != nil {
		t.Fatalf("build transit server: %v", err)
	}
	return target
}

// repositoryRoot looks upwards from the folder of the test.
func repositoryRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "deploy", "devvault", "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no deploy/devvault above %s: set %s", start, binaryVariable)
		}
	}
}

// ensure makes target unless it is newer than everything in the source folder. Of several processes that want it, one
// builds and the others wait. The target appears whole or not at all: build writes beside it.
func ensure(target, source string, build func(output string) error) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	unlock, err := lock(target + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	stale, err := isStale(target, source)
	if err != nil || !stale {
		return err
	}
	partial := target + ".partial"
	if err := build(partial); err != nil {
		return err
	}
	return os.Rename(partial, target)
}

// lock waits until no other process holds the lock file. The kernel frees it when its holder ends, however it ends.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
		switch {
		case err == nil:
			return func() { _ = file.Close() }, nil
		case !errors.Is(err, syscall.EINTR):
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
		}
	}
}

// isStale reports whether a file in the source folder is newer than target, or target does not exist.
func isStale(target, source string) (stale bool, err error) {
	made, err := os.Stat(target)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	err = filepath.WalkDir(source, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.ModTime().After(made.ModTime()) {
			stale = true
			return fs.SkipAll
		}
		return err
	})
	return stale, err
}

// build compiles the module in the source folder, with nothing of the calling test's own build settings.
func build(ctx context.Context, source, output string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", output, ".")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, text)
	}
	return nil
}
