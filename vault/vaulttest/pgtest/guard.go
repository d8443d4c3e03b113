package pgtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// guard is a shell that outlives the test process by a moment: it waits until its standard input ends, then
// stops the server and removes the folder. A server that would not stop does so by itself within a minute: PostgreSQL
// looks after its lock file. The other end of that pipe is held by the test process alone (Go opens
// files close-on-exec), so it ends when the process does, whether it returned, timed out, panicked or
// was killed. Ending a test in good order takes the same path, so every run proves it.
type guard struct {
	cmd  *exec.Cmd
	hold *os.File
}

// The server may be stopped already: then pg_ctl has nothing to do, and only the folder is left.
const guardScript = `cat; "$1" stop --mode=immediate --wait --pgdata="$2/data"; rm -rf "$2"`

func startGuard(ctx context.Context, s server, dir string) (*guard, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pgtest: guard: %w", err)
	}
	// It must live on when the context that starts the cluster is over.
	cmd := s.command(context.WithoutCancel(ctx), "/bin/sh", "-c", guardScript, "guard", s.path("pg_ctl"), dir)
	cmd.Stdin = r
	// A session of its own: an interrupt at the terminal, or a kill of the tests' process group, leaves it to its work.
	cmd.SysProcAttr.Setsid = true
	err = cmd.Start()
	_ = r.Close() // The child has its own copy.
	if err != nil {
		_ = w.Close()
		return nil, fmt.Errorf("pgtest: guard: %w", err)
	}
	return &guard{cmd: cmd, hold: w}, nil
}

// release has the guard do its work and waits until it is done.
func (g *guard) release() error {
	if err := g.hold.Close(); err != nil {
		return fmt.Errorf("pgtest: release the guard: %w", err)
	}
	_ = g.cmd.Wait() // Whether the folder is gone says more than the shell's status.
	return nil
}
