package e2e

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"
)

// process is a program that a story started, and may signal.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr *lines
	// ended is closed once the process is gone and all that it wrote is here; err is then how it ended.
	ended chan struct{}
	err   error
}

// program prepares a command that ends by what the story does to it, and not with the story's context: the context ends
// before those who clean up have spoken to it.
func program(t testing.TB, path string, args ...string) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(context.WithoutCancel(t.Context()), path, args...)
}

// start starts a command, which the story's end kills.
func start(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, stdout: newLines(), stderr: newLines(), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.stdout, p.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	guard.tell(t, "start", cmd.Process.Pid)
	go func() {
		defer close(p.ended)
		p.err = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // an error: it has ended
		<-p.ended
		guard.tell(t, "stop", cmd.Process.Pid)
		if t.Failed() {
			t.Logf("process %d, %v:\n%.4000s", cmd.Process.Pid, cmd.Args, p.stderr)
		}
	})
	return p
}

func (p *process) signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Errorf("%v to %v: %v", s, p.cmd.Args, err)
	}
}

// kill ends the process as a crash does.
func (p *process) kill(t testing.TB) {
	t.Helper()
	p.signal(t, os.Kill)
	<-p.ended
}

// code waits for the process's end and returns its exit code.
func (p *process) code(t testing.TB) exitCode {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatalf("%v has not ended after %s:\n%s", p.cmd.Args, patience, p.stderr)
	}
	return codeOf(t, p.err)
}

// codeOf reads the exit code of a process.
func codeOf(t testing.TB, err error) exitCode {
	t.Helper()
	if err == nil {
		return exitOK
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		t.Fatal(err)
	}
	return exitCode(exit.ExitCode())
}

// await returns the n-th line with part in it that the process wrote to standard output, or to standard error.
func (p *process) await(t testing.TB, stream *lines, part string, n int) string {
	t.Helper()
	line, err := stream.wait(part, n, p.ended)
	if err != nil {
		t.Fatal(err)
	}
	return line
}
