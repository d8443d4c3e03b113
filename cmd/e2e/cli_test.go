package e2e

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// exitCode is what a process ended with: `cardvault help exit-codes`.
type exitCode int

const (
	exitOK          exitCode = 0
	exitFailed      exitCode = 1
	exitUsage       exitCode = 2
	exitDenied      exitCode = 3
	exitNotFound    exitCode = 4
	exitUnavailable exitCode = 5
	exitSomeRefused exitCode = 6
)

// answer is what a command came to.
type answer struct {
	args           string
	code           exitCode
	stdout, stderr string
}

// run runs a command of the binary with nothing in its environment.
func (s *site) run(t testing.TB, args ...string) answer {
	t.Helper()
	return s.command(t, nil, "", args...)
}

// cli runs a client command as a principal, which it is told of by the environment.
func (s *site) cli(t testing.TB, r *replica, principal string, args ...string) answer {
	t.Helper()
	return s.command(t, s.environment(r, principal), "", args...)
}

// cliWith gives it standard input too.
func (s *site) cliWith(t testing.TB, stdin string, r *replica, principal string, args ...string) answer {
	t.Helper()
	return s.command(t, s.environment(r, principal), stdin, args...)
}

// environment is what a principal's shell has set.
func (s *site) environment(r *replica, principal string) []string {
	return []string{
		"CARDVAULT_ADDR=" + r.addr, "CARDVAULT_CA=" + s.path("ca.pem"),
		"CARDVAULT_CERT=" + s.path(principal+".pem"), "CARDVAULT_KEY=" + s.path(principal+".key"),
	}
}

func (s *site) command(t testing.TB, environment []string, stdin string, args ...string) answer {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), programs.cardvault(t), args...)
	cmd.Dir, cmd.Env = s.dir, append([]string{"LC_ALL=C", "TMPDIR=" + s.dir}, environment...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	a := answer{args: strings.Join(args, " "), code: codeOf(t, cmd.Run()), stdout: stdout.String(), stderr: stderr.String()}
	s.ran(output{
		what: a.args, stdout: stdout.String, stderr: stderr.String,
		shows: strings.HasPrefix(a.args, "detokenize ") && strings.Contains(a.args, "--view full"),
	})
	return a
}

// must fails the test unless the command ended with code.
func (a answer) must(t testing.TB, code exitCode) answer {
	t.Helper()
	if a.code != code {
		t.Fatalf("cardvault %s: exit code %d, want %d\n%s%s", a.args, a.code, code, a.stdout, a.stderr)
	}
	return a
}

// says fails the test unless the error's line has all parts.
func (a answer) says(t testing.TB, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(a.stderr, part) {
			t.Errorf("cardvault %s: no %q in its error: %s", a.args, part, a.stderr)
		}
	}
}

// field returns a value of the command's JSON by its path, such as card.id.
func (a answer) field(t testing.TB, path string) string {
	t.Helper()
	value, err := jsonField(a.stdout, path)
	if err != nil {
		t.Fatalf("cardvault %s: %v", a.args, err)
	}
	return value
}

func jsonField(document, path string) (string, error) {
	var value any
	if err := json.Unmarshal([]byte(document), &value); err != nil {
		return "", err
	}
	for key := range strings.SplitSeq(path, ".") {
		value = member(value, key)
	}
	if text, ok := value.(string); ok {
		return text, nil
	}
	text, err := json.Marshal(value)
	return string(text), err
}

func member(value any, key string) any {
	object, _ := value.(map[string]any)
	return object[key]
}
