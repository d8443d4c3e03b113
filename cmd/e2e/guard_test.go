package e2e

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// guard is a shell that knows the ids of the processes which stories have started. Its standard input ends when the
// test process does, however that ends, and then it kills those that are left, and removes the programs.
var guard watchdog

type watchdog struct {
	once  sync.Once
	mu    sync.Mutex
	stdin io.WriteCloser
	err   error
}

const guardScript = `live=
while read -r op what; do
	[ "$op" != folder ] || folder=$what
	rest=
	for p in $live; do [ "$p" = "$what" ] || rest="$rest $p"; done
	live=$rest
	[ "$op" != start ] || live="$live $what"
done
[ -z "$live" ] || kill -9 $live
[ -z "$folder" ] || rm -rf "$folder"`

func (w *watchdog) start() {
	cmd := exec.CommandContext(context.Background(), "/bin/sh", "-c", guardScript)
	// A session of its own: an interrupt at the terminal leaves it to its work.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if w.stdin, w.err = cmd.StdinPipe(); w.err == nil {
		w.err = cmd.Start()
	}
}

// tell says that a process was started (start) or has ended (stop), or where the programs are (folder).
func (w *watchdog) tell(t testing.TB, op string, what any) {
	t.Helper()
	w.once.Do(w.start)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		_, w.err = fmt.Fprintln(w.stdin, op, what)
	}
	if w.err != nil {
		t.Errorf("guard of processes: %v", w.err)
	}
}
