package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestNoCoreFile starts a server where core files are allowed, and crashes it. It leaves none.
func TestNoCoreFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := program(t, "/bin/sh", "-c", `ulimit -c unlimited; exec "$0" "$@"`,
		programs.cardvault(t), "dev", "--addr", "127.0.0.1:0", "--dir", filepath.Join(dir, "dev"))
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOTRACEBACK=crash") // abort(3) after a panic
	server := start(t, cmd)
	server.await(t, server.stdout, "It keeps serving until Ctrl-C", 1)
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if fields := strings.Fields(nth(string(limits), "Max core file size", 1)); len(fields) < 6 || fields[4] != "0" || fields[5] != "0" {
		t.Errorf("limits: %q", fields)
	}
	server.signal(t, syscall.SIGABRT)
	<-server.ended
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.CoreDump() {
		t.Errorf("how it ended: %v", cmd.ProcessState)
	}
	if cores, err := filepath.Glob(filepath.Join(dir, "core*")); err != nil || len(cores) > 0 {
		t.Errorf("core files: %v, %v", cores, err)
	}
}

// TestProcessCannotBeRead has another process of the same user try to look into the server, as one that was broken into
// would. For comparison, it can look into a process that does not defend itself.
func TestProcessCannotBeRead(t *testing.T) {
	t.Parallel()
	who := ordinaryUser(t)
	dir := t.TempDir()
	openTo(t, who, dir)
	server := startAs(t, who, programs.cardvault(t), "dev", "--addr", "127.0.0.1:0", "--dir", filepath.Join(dir, "dev"))
	server.await(t, server.stdout, "It keeps serving until Ctrl-C", 1)
	defenceless := startAs(t, who, "/bin/sh", "-c", "echo up; read x")
	defenceless.await(t, defenceless.stdout, "up", 1)
	for _, file := range []string{"environ", "mem", "maps", "auxv", "fd/0"} {
		if err := readAs(t, who, defenceless.cmd.Process.Pid, file); err != nil {
			t.Fatalf("the comparison: /proc/PID/%s: %v", file, err)
		}
		if err := readAs(t, who, server.cmd.Process.Pid, file); err == nil {
			t.Errorf("another process of the user can read /proc/PID/%s", file)
		}
	}
}

// ordinaryUser is who runs the processes: root may read everything, and shows nothing.
func ordinaryUser(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, errUID := strconv.ParseUint(nobody.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(nobody.Gid, 10, 32)
	if errUID != nil || errGID != nil {
		t.Fatal(errUID, errGID)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// openTo gives a folder to the user, and lets it come there.
func openTo(t *testing.T, who *syscall.Credential, dir string) {
	t.Helper()
	if who == nil {
		return
	}
	if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
}

func startAs(t *testing.T, who *syscall.Credential, path string, args ...string) *process {
	t.Helper()
	cmd := program(t, path, args...)
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Credential: who}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close() })
	return start(t, cmd)
}

// readAs opens a file of a process as the user does, and reads where it is not empty by nature.
func readAs(t *testing.T, who *syscall.Credential, pid int, file string) error {
	t.Helper()
	path := fmt.Sprintf("/proc/%d/%s", pid, file)
	script := map[string]string{"mem": `exec 3<"$0"`, "fd/0": `readlink "$0"`}[file]
	if script == "" {
		script = `head -c 1 "$0"`
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", script, path)
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Credential: who}
	return cmd.Run()
}

// TestMetricsPortAnswersNothingElse looks for what servers leave open by habit.
func TestMetricsPortAnswersNothingElse(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	r := s.serve(t)
	r.as(t, "security").createRange(t, "debit", "90000000")
	r.as(t, "payments").mustReveal(t, r.as(t, "issuer").issue(t).GetToken())
	for _, path := range []string{
		"/", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2", "/debug/vars", "/debug/requests",
		"/config", "/env", "/metrics/", "/healthz",
	} {
		if status, _ := r.get(t, path); status != http.StatusNotFound {
			t.Errorf("GET %s: %d", path, status)
		}
	}
	status, text := r.get(t, "/metrics")
	for _, name := range []string{
		"cardvault_commit_changes_count", "cardvault_server_connections", "cardvault_server_certificate_expiry_timestamp_seconds",
		"cardvault_crl_expiry_timestamp_seconds", "grpc_server_call_duration_seconds_count", "go_goroutines",
	} {
		if status != http.StatusOK || !strings.Contains(text, name) {
			t.Errorf("metrics, status %d, without %s", status, name)
		}
	}
	newScanner(s.known()...).clean(t, "metrics", []byte(text))
	for _, name := range []string{tenant, "issuer", "debit", "tok_"} {
		if strings.Contains(text, name) {
			t.Errorf("metrics name %q", name)
		}
	}
}
