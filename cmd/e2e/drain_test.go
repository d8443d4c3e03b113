package e2e

import (
	"errors"
	"os"
	"regexp"
	"syscall"
	"testing"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// TestSIGTERMLetsCallsFinish stops a server while a call waits for the database. The call is answered, new ones are
// not taken, and the server ends well.
func TestSIGTERMLetsCallsFinish(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	r := s.serve(t)
	release, answered := r.callThatWaits(t)
	r.signal(t, syscall.SIGTERM)
	r.awaitLog(t, `"msg":"stopping"`, 1)
	eventually(t, "nobody new is let in", func() error {
		if conn, err := r.greet(t, s.tls(t, "payments")); err == nil {
			_ = conn.Close()
			return errors.New("it still listens")
		}
		return nil
	})
	select {
	case err := <-answered:
		t.Fatalf("the call was answered before it could be recorded: %v", err)
	case <-r.ended:
		t.Fatal("the server ended with a call under way")
	default:
	}
	release()
	if err := <-answered; err != nil {
		t.Errorf("the call under way: %v", err)
	}
	if code := r.code(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if n := s.count(t, "SELECT count(*) FROM cards"); n != 2 {
		t.Errorf("%d cards, want 2", n)
	}
	for _, entries := range s.chains(t) {
		if last := entries[len(entries)-1]; last.Action != "StopReplica" {
			t.Errorf("the chain ends with %s", last.Action)
		}
	}
}

// TestSIGTERMWaitsNoLongerThanItMay stops a server whose database never answers: it ends all the same, says that it cut
// calls off, and what it cut off is whole or not there at all.
func TestSIGTERMWaitsNoLongerThanItMay(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	r := s.serve(t, drainFor("1s"))
	release, answered := r.callThatWaits(t)
	r.signal(t, syscall.SIGTERM)
	if err := <-answered; err == nil {
		t.Error("the call was answered before it could be recorded")
	}
	if code := r.code(t); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	r.awaitLog(t, "calls under way were cut off", 1)
	release()
	s.chains(t)
}

// TestSIGTERMWaitsForNoListener stops a server whose clients only listen: one watches its health, one holds a connection
// and says nothing. Neither keeps it from ending, however long calls may take.
func TestSIGTERMWaitsForNoListener(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	r := s.serve(t, drainFor("10m"))
	watch, err := healthpb.NewHealthClient(r.as(t, "support").conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.greet(t, s.tls(t, "payments")); err != nil {
		t.Fatal(err)
	}
	r.stop(t)
}

// TestUnitLetsTheServerStop compares how long systemd waits before it kills the server with how long the server may take.
func TestUnitLetsTheServerStop(t *testing.T) {
	t.Parallel()
	waits := written(t, `TimeoutStopSec=(\w+)`, "deploy", "systemd", "cardvault.service")
	drains := written(t, `drain: (\w+)`, "deploy", "config.yaml")
	// The last commit may take 10 seconds, and closing 5.
	if waits < drains+15*time.Second {
		t.Errorf("systemd waits for %s, and calls alone may take %s", waits, drains)
	}
}

// written finds a duration in a file of the repository.
func written(t *testing.T, expression string, path ...string) time.Duration {
	t.Helper()
	text, err := os.ReadFile(repository(path...))
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(expression).FindSubmatch(text)
	if match == nil {
		t.Fatalf("%v has no %s", path, expression)
	}
	d, err := time.ParseDuration(string(match[1]))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// callThatWaits has a call wait for its commit, which release lets go on. answered has its outcome.
func (r *replica) callThatWaits(t testing.TB) (release func(), answered chan error) {
	t.Helper()
	r.as(t, "security").createRange(t, "debit", "90000000")
	issuer := r.as(t, "issuer")
	issuer.issue(t)

	release = r.site.holdCommits(t)
	answered = make(chan error, 1)
	go func() {
		_, err := issuer.tryIssue(t, "debit")
		answered <- err
	}()
	r.site.awaitWaiting(t)
	return release, answered
}

// holdCommits keeps every commit waiting until release is called.
func (s *site) holdCommits(t testing.TB) (release func()) {
	t.Helper()
	holder := connect(t, s.admin)
	if _, err := holder.Exec(t.Context(), "BEGIN; LOCK TABLE audit_entries IN SHARE ROW EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := holder.Exec(t.Context(), "ROLLBACK"); err != nil {
			t.Error(err)
		}
	}
}

// awaitWaiting returns once the server waits for a lock.
func (s *site) awaitWaiting(t testing.TB) {
	t.Helper()
	eventually(t, "a commit waits", func() error {
		n := s.count(t, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND usename = 'cardvault_app' AND wait_event_type = 'Lock'`)
		if n == 0 {
			return errors.New("none")
		}
		return nil
	})
}
