//go:build unix

package ship_test

import (
	"bytes"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// A disk that is full in the middle of a line, for a while, leaves no trace. The limit
// that plays it is the process's, and would hit the test runner's own files: so this is
// a process of its own.
func TestFilesSurviveAFullDisk(t *testing.T) {
	if os.Getenv("CARDVAULT_SHIP_FULL") == "" {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), exe, "-test.v", "-test.run=^TestFilesSurviveAFullDisk$")
		cmd.Env = append(os.Environ(), "CARDVAULT_SHIP_FULL=1")
		if text, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(text, []byte("--- PASS: TestFilesSurviveAFullDisk")) {
			t.Fatalf("%v\n%s", err, text)
		}
		return
	}
	signal.Ignore(unix.SIGXFSZ)
	defer signal.Reset(unix.SIGXFSZ)
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	limit := func(bytes uint64) {
		now := was
		now.Cur = bytes
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &now); err != nil {
			t.Fatal(err)
		}
	}
	defer limit(was.Cur)
	for full := uint64(0); full < 8000; full += 331 {
		folder := t.TempDir()
		s := newFiles(t, folder, 5000)
		deliver(t, s, events("s", 0, 2))
		limit(full)
		first := s.Deliver(t.Context(), events("s", 2, 20))
		second := s.Deliver(t.Context(), events("s", 2, 20))
		limit(was.Cur)
		if full < 4000 && (first == nil || second == nil) {
			t.Fatalf("full at %d bytes: delivered (%v, %v)", full, first, second)
		}
		if lines, _ := readFolder(t, folder); full < 4000 && !slices.Equal(lines, wantLines(events("s", 0, 20))[:len(lines)]) {
			t.Fatalf("full at %d bytes: left %d lines and something else", full, len(lines))
		}
		deliver(t, s, events("s", 2, 25))
		if lines, _ := readFolder(t, folder); !slices.Equal(lines, wantLines(events("s", 0, 25))) {
			t.Fatalf("full at %d bytes: the files differ", full)
		}
	}
}
