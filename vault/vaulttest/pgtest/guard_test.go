package pgtest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// envHold makes the test binary start a cluster, say where it is, and wait to be killed.
const envHold = "PGTEST_HOLD_CLUSTER"

func holdCluster() {
	c, err := newCluster(context.Background())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(c.Dir(), c.URL())
	select {}
}

func TestClusterEndsWithAKilledProcess(t *testing.T) {
	t.Parallel()
	process := exec.CommandContext(t.Context(), os.Args[0])
	process.Env = append(os.Environ(), envHold+"=1")
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	dir, url, ok := strings.Cut(strings.TrimSpace(line), " ")
	if !ok {
		t.Fatal(line)
	}
	conn := connect(t, url)

	// The whole group, as the shell and CI do it: the guard must not go with it.
	if err := syscall.Kill(-process.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = process.Wait() // It was killed, and says so.
	waitForTheEnd(t, conn)
	waitUntilGone(t, dir)
}

// waitForTheEnd returns when the server has cut the session.
func waitForTheEnd(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := conn.WaitForNotification(ctx)
	if err == nil || ctx.Err() != nil {
		t.Fatalf("the server outlived its process: %v", err)
	}
}

func waitUntilGone(t *testing.T, dir string) {
	t.Helper()
	deadline := time.After(time.Minute)
	for tick := time.Tick(10 * time.Millisecond); ; {
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			return
		}
		select {
		case <-tick:
		case <-deadline:
			t.Fatalf("%s outlived its process", dir)
		}
	}
}
