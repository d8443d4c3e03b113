package e2e

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// input is a file to import, and what has to come of it.
type input struct {
	text       strings.Builder
	lines      int64
	pans       map[int64]string // by line, of lines that are taken in
	first      map[string]int64 // line by PAN
	duplicates int64
	refused    map[int64]string // reason by line
}

func newInput() *input {
	in := &input{pans: map[int64]string{}, first: map[string]int64{}, refused: map[int64]string{}}
	in.add("pan,expiry")
	return in
}

func (in *input) add(line string) int64 {
	in.text.WriteString(line + "\n")
	in.lines++
	return in.lines
}

// good adds a line that is taken in, or was before.
func (in *input) good(pan string) {
	line := in.add(pan + ",12/30")
	in.pans[line] = pan
	if _, again := in.first[pan]; again {
		in.duplicates++
	} else {
		in.first[pan] = line
	}
}

// bad adds a line that is refused.
func (in *input) bad(line, reason string) { in.refused[in.add(line)] = reason }

// randomPAN makes a PAN of 16 digits.
func randomPAN(t testing.TB) string {
	t.Helper()
	n, err := rand.Int(rand.Reader, big.NewInt(100_000_000_000_000))
	if err != nil {
		t.Fatal(err)
	}
	return luhn(t, fmt.Sprintf("4%014d", n))
}

// importing is one import, over as many runs as it takes.
type importing struct {
	site  *site
	r     *replica
	input string // the file
	// What the command keeps.
	state, tokens, report string
}

// newImport writes the input where nothing is searched for PANs, and has the command keep what it keeps in a folder.
func newImport(t testing.TB, s *site, r *replica, folder, text string) *importing {
	t.Helper()
	im := &importing{
		site: s, r: r, input: filepath.Join(t.TempDir(), "cards.csv"), state: filepath.Join(folder, "cards.state"),
		tokens: filepath.Join(folder, "tokens.csv"), report: filepath.Join(folder, "report.json"),
	}
	if err := os.WriteFile(im.input, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return im
}

// start runs the command.
func (im *importing) start(t testing.TB) *process {
	t.Helper()
	cmd := program(t, programs.cardvault(t),
		"card", "import", im.input, "--state", im.state, "--tokens", im.tokens, "--report", im.report, "--output", "json")
	cmd.Dir, cmd.Env = im.site.dir, im.site.environment(im.r, "issuer")
	run := start(t, cmd)
	im.site.ran(output{what: "card import", stdout: run.stdout.String, stderr: run.stderr.String})
	return run
}

// finish waits for the command's end.
func (im *importing) finish(t testing.TB, run *process) answer {
	t.Helper()
	code := run.code(t)
	return answer{args: "card import", code: code, stdout: run.stdout.String(), stderr: run.stderr.String()}
}

// await returns when the state says that a line is dealt with.
func (im *importing) await(t testing.TB, run *process, line int64) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for im.through(t) < line {
		select {
		case <-run.ended:
			t.Fatalf("the import ended before line %d: %v\n%s", line, run.err, run.stderr)
		case <-tick.C:
		}
	}
}

// through reads the state file for the last line that is dealt with.
func (im *importing) through(t testing.TB) (line int64) {
	t.Helper()
	text, err := os.ReadFile(im.state)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for record := range strings.Lines(string(text)) {
		var done struct{ Through int64 }
		if json.Unmarshal([]byte(record), &done) == nil { // the last one may be half written
			line = max(line, done.Through)
		}
	}
	return line
}
