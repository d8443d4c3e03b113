package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// programs are the executables that stories start.
var programs built

// built makes each program once for the test process.
type built struct {
	mu  sync.Mutex
	dir string
	err error
}

// cardvault returns the binary under test.
func (b *built) cardvault(t testing.TB) string {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dir == "" && b.err == nil {
		b.dir, b.err = build()
		guard.tell(t, "folder", b.dir)
	}
	if b.err != nil {
		t.Fatal(b.err)
	}
	return filepath.Join(b.dir, "cardvault")
}

func build() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "cardvault-e2e-"); err != nil {
		return "", err
	}
	// Other users run it too: see TestProcessCannotBeRead.
	if err := os.Chmod(dir, 0o755); err != nil {
		return dir, err
	}
	args := slices.Concat([]string{"build"}, buildFlags, []string{"-o", filepath.Join(dir, "cardvault"), "../cardvault"})
	cmd := exec.CommandContext(context.Background(), "go", args...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("build cardvault: %w\n%s", err, text)
	}
	return dir, nil
}

func (b *built) remove() {
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}

// grpcurl returns the path of the client that knows nothing of cardvault. Go keeps it in its build cache.
func grpcurl(t testing.TB) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile="+repository("deploy", "tools", "go.mod"), "-n", "grpcurl")
	path, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("build grpcurl: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	return strings.TrimSpace(string(path))
}

// fsck returns the path of an independent reader of tlog-tiles: Tessera's, of which deploy/fsck is a build.
func fsck(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fsck")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-C", repository("deploy", "fsck"), "-mod=readonly", "-buildvcs=false", "-o", path, ".")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build fsck: %v\n%s", err, text)
	}
	return path
}

// repository returns the path of a file of the repository.
func repository(path ...string) string {
	return filepath.Join(append([]string{"..", ".."}, path...)...)
}
