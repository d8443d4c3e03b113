package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
)

// devServer is a running `cardvault dev`.
type devServer struct {
	*process
	site *site
	dir  string
}

// startDev starts `cardvault dev` on a folder and waits until its demonstration is over.
func startDev(t testing.TB, s *site, dir string) *devServer {
	t.Helper()
	cmd := program(t, programs.cardvault(t), "dev", "--dir", dir, "--addr", "127.0.0.1:0")
	cmd.Dir = filepath.Dir(dir)
	d := &devServer{process: start(t, cmd), site: s, dir: dir}
	s.ran(output{what: "dev", stdout: d.stdout.String, stderr: d.stderr.String, shows: true})
	d.await(t, d.stdout, "It keeps serving until Ctrl-C", 1)
	return d
}

// as runs a client command as a demo principal.
func (d *devServer) as(t testing.TB, principal, stdin string, args ...string) answer {
	t.Helper()
	return d.site.command(t, nil, stdin, append(args, "--as", principal, "--dev-dir", d.dir)...)
}

// shown is the PAN that the demonstration prints, to show what settlement gets.
func (d *devServer) shown(t testing.TB) string {
	t.Helper()
	match := regexp.MustCompile(`gets +(90000000\d{8}), expires`).FindStringSubmatch(d.stdout.String())
	if match == nil || !valid(match[1]) {
		t.Fatalf("the demonstration shows no PAN:\n%s", d.stdout)
	}
	return match[1]
}

// runDev goes through a laptop's vault, kills it with its journal unmerged, and opens it again.
func (c *canary) runDev(t *testing.T) {
	t.Helper()
	dir := filepath.Join(c.scratch, "dev")
	d := startDev(t, c.site, dir)
	c.saw(d.shown(t))
	for _, pan := range wellKnown {
		taken := d.as(t, "issuer", pan+"\n", "card", "tokenize", "--expiry", "12/30", "-o", "json").must(t, exitOK)
		token := taken.field(t, "token")
		if got := d.as(t, "payments", "", "detokenize", token, "--purpose", "settlement", "--view", "full", "-o", "json").must(t, exitOK).field(t, "pan"); got != pan {
			t.Error("a laptop's vault gives out another PAN than it took in")
		}
		d.as(t, "issuer", mistyped(pan)+"\n", "card", "tokenize", "--expiry", "12/30").must(t, exitFailed)
		d.as(t, "payments", "", "detokenize", "x"+pan, "--purpose", "settlement", "--view", "full").must(t, exitFailed)
	}
	d.kill(t)
	newScanner(wellKnown...).clean(t, "what dev prints", []byte(d.stdout.String()))
	if _, err := os.Stat(filepath.Join(dir, "cards.db-wal")); err != nil {
		t.Errorf("no journal to search: %v", err)
	}
	s := newScanner(c.known()...)
	eachFile(t, dir, func(path string, data []byte) { s.clean(t, path, data) })

	again := startDev(t, c.site, dir)
	c.saw(again.shown(t))
	again.signal(t, syscall.SIGTERM)
	if code := again.code(t); code != exitOK {
		t.Errorf("dev ended with %d on SIGTERM", code)
	}
}
