package transittest

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// stopPatience is how long a server may take to end before it is killed, and the test fails.
const stopPatience = 15 * time.Second

// ready is the line that the server prints once it answers.
type ready struct {
	Address   string `json:"address"`
	CA        string `json:"ca"`
	AuditLog  string `json:"audit_log"`
	RootToken string `json:"root_token"`
	UnsealKey string `json:"unseal_key"`
}

// launch starts the process and returns when its ready line has come.
func (s *Server) launch(t testing.TB) {
	t.Helper()
	// The server ends when it is stopped, not when the test that happened to start it again does.
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := s.command(ctx)
	line, err := s.run(cmd)
	if err != nil {
		stop()
		if cmd.Process != nil {
			err = errors.Join(err, cmd.Wait())
		}
		t.Fatalf("start transit server: %v\n%s", err, s.log())
	}
	s.process, s.stop = cmd, stop
	s.Address, s.CAFile, s.AuditLog = line.Address, line.CA, line.AuditLog
	s.RootToken, s.unsealKey = line.RootToken, line.UnsealKey
}

func (s *Server) command(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.binary,
		"-dev", "-storage", "file", "-dir", s.dir, "-listen", s.listen, "-stop-on-eof")
	// A group of its own: when the test process dies the group is orphaned, and the kernel then wakes and hangs up a
	// server that is paused and could not see its input end.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		// A paused process takes its SIGTERM only once it goes on. This order, since after a SIGTERM the process may be
		// gone, and the error of a second signal would hide that the first one ended it.
		if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
			return err
		}
		return cmd.Process.Signal(syscall.SIGTERM)
	}
	cmd.WaitDelay = stopPatience
	return cmd
}

// run starts cmd and reads its ready line. A process that ends early ends the line too, so nothing here waits forever
// except for a process that hangs.
func (s *Server) run(cmd *exec.Cmd) (line ready, err error) {
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return line, err
	}
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return line, errors.Join(err, log.Close())
	}
	if s.stdin, err = cmd.StdinPipe(); err != nil {
		return line, errors.Join(err, log.Close())
	}
	if err := errors.Join(cmd.Start(), log.Close()); err != nil {
		return line, err
	}
	return line, json.NewDecoder(stdout).Decode(&line)
}

// Stop ends the server cleanly and keeps its data. Connections are then refused. It does nothing if the server is
// stopped already, and works on a paused one.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if s.process == nil {
		return
	}
	s.stop()
	err := s.process.Wait()
	s.process = nil
	// Wait reports the cancelled context if, and only if, the process ended after it with status 0.
	if !errors.Is(err, context.Canceled) {
		t.Errorf("transit server did not stop cleanly: %v", err)
	}
}

// Restart stops the server, if it runs, and starts it at the same address over the same storage, unsealed.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop(t)
	s.launch(t)
}

// Pause freezes the server with SIGSTOP: connections open, requests are taken by the kernel, and no answer comes. It
// returns when every thread stands still.
func (s *Server) Pause(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGSTOP)
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(s.process.Process.Pid, &status, syscall.WUNTRACED, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || !status.Stopped() {
			t.Fatalf("pause transit server: %v, wait status %#x", err, status)
		}
		return
	}
}

// Resume lets a paused server go on. It then answers what it was sent in the meantime.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGCONT)
}

func (s *Server) signal(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if s.process == nil {
		t.Fatalf("%v to a transit server that is stopped", signal)
	}
	if err := s.process.Process.Signal(signal); err != nil {
		t.Fatalf("%v to transit server: %v", signal, err)
	}
}
