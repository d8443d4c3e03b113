package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

// TestImportGoesOnWhereItWasKilled kills `card import` again and again, and once the server under it. In the end every
// line is accounted for, once.
func TestImportGoesOnWhereItWasKilled(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	r := s.serve(t, listenOn(freeAddress(t)))
	in := tenThousandLines(t)
	im := newImport(t, s, r, t.TempDir(), in.text.String())
	s.saw(slices.Collect(maps.Keys(in.first))[:500]...) // all of them would take the search too long

	for _, line := range []int64{1, 3000, 5000} {
		run := im.start(t)
		im.await(t, run, line)
		run.kill(t)
	}
	run := im.start(t)
	im.await(t, run, 7000)
	r.kill(t)
	s.serve(t, listenOn(r.addr)) // the command tries again by itself
	in.check(t, im, im.finish(t, run).must(t, exitSomeRefused))
	if _, err := os.Stat(im.state); !os.IsNotExist(err) {
		t.Errorf("the state of an import that is complete: %v", err)
	}

	// The same file once more is all duplicates.
	im = newImport(t, s, r, t.TempDir(), in.text.String())
	again := im.finish(t, im.start(t)).must(t, exitSomeRefused)
	if got := again.field(t, "accepted") + "/" + again.field(t, "duplicate"); got != "0/"+strconv.Itoa(len(in.pans)) {
		t.Errorf("the same file again: accepted/duplicate %s", got)
	}
}

// tenThousandLines makes an input of every kind of line.
func tenThousandLines(t *testing.T) *input {
	t.Helper()
	in := newInput()
	before := randomPAN(t)
	in.good(before)
	for i := range 10_000 {
		pan := randomPAN(t)
		in.good(pan)
		switch i % 500 {
		case 100:
			in.good(pan) // at once
		case 200:
			in.good(before)
		case 250:
			in.bad(mistyped(pan)+",12/30", "PAN_CHECK_DIGIT")
		case 300:
			in.bad(pan+",13/30", "EXPIRY_INVALID")
		case 350:
			in.bad(";"+pan+"=301210100000,12/30", "TRACK_DATA")
		case 400:
			in.bad(pan+",12/30,123", "LINE_MALFORMED")
		case 450:
			before = pan
		}
	}
	return in
}

// check compares what an import came to with what it had to.
func (in *input) check(t *testing.T, im *importing, a answer) {
	t.Helper()
	var report struct {
		Accepted, Duplicate, Refused int64
		RefusedLines                 []struct {
			Line   int64
			Reason string
		}
	}
	if err := json.Unmarshal([]byte(a.stdout), &report); err != nil {
		t.Fatal(err)
	}
	refused := map[int64]string{}
	for _, line := range report.RefusedLines {
		refused[line.Line] = line.Reason
	}
	if diff := cmp.Diff(in.refused, refused); diff != "" || report.Refused != int64(len(in.refused)) {
		t.Errorf("refused lines (-want +got):\n%s", diff)
	}
	if report.Accepted != int64(len(in.first)) || report.Duplicate != in.duplicates {
		t.Errorf("accepted %d of %d, duplicate %d of %d", report.Accepted, len(in.first), report.Duplicate, in.duplicates)
	}
	if n := im.site.count(t, "SELECT count(*) FROM cards"); n != int64(len(in.first)) {
		t.Errorf("%d cards, want %d", n, len(in.first))
	}
	in.checkTokens(t, im)
	im.site.chains(t)
}

// checkTokens opens the token of every line.
func (in *input) checkTokens(t *testing.T, im *importing) {
	t.Helper()
	text, err := os.ReadFile(im.tokens)
	if err != nil {
		t.Fatal(err)
	}
	var numbers []int64
	var tokens []string
	for row := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
		cells := strings.Split(row, ",")
		if n, err := strconv.ParseInt(cells[0], 10, 64); err == nil { // or it is the header
			numbers, tokens = append(numbers, n), append(tokens, cells[2])
		}
	}
	if !slices.Equal(numbers, slices.Sorted(maps.Keys(in.pans))) {
		t.Fatalf("the token file has %d lines, not one for each of the %d taken in", len(numbers), len(in.pans))
	}
	payments := im.r.site.serve(t).as(t, "payments")
	for start := 0; start < len(tokens); start += 1000 {
		end := min(start+1000, len(tokens))
		answers, err := payments.cards.BatchDetokenizeCards(t.Context(), &cardvaultv1.BatchDetokenizeCardsRequest{
			Tokens: tokens[start:end], Purpose: "settlement", View: full,
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, result := range answers.GetResults() {
			if line := numbers[start+i]; result.GetResponse().GetPan() != in.pans[line] {
				t.Fatalf("the token of line %d opens to another PAN: %s", line, result.GetError().GetReason())
			}
		}
	}
}

// importCards takes in a file with good, repeated and bad lines, and is killed on the way.
func (c *canary) importCards(t *testing.T) {
	t.Helper()
	in := newInput()
	for range importedCards {
		in.good(randomPAN(t))
	}
	for _, pan := range wellKnown {
		in.good(pan)
		in.bad(mistyped(pan)+",12/30", "PAN_CHECK_DIGIT")
		in.bad(pan+",12/30,123", "LINE_MALFORMED")
		in.bad("%B"+pan+"^DOE/JOHN^3012101?,12/30", "TRACK_DATA")
		in.bad("x"+pan+",12/30", "PAN_DIGIT")
		c.saw(mistyped(pan))
	}
	c.saw(slices.Collect(maps.Keys(in.first))[:1500]...) // all of them would take the search too long
	im := newImport(t, c.site, c.r, c.scratch, in.text.String())
	run := im.start(t)
	im.await(t, run, 1)
	run.kill(t)
	text, err := os.ReadFile(im.state)
	if err != nil {
		t.Fatal(err)
	}
	newScanner(c.known()...).clean(t, "the state of an import", text)
	im.finish(t, im.start(t)).must(t, exitSomeRefused)
	im = newImport(t, c.site, c.r, t.TempDir(), "pan,expiry,cvv\n"+wellKnown[0]+",12/30,123\n")
	im.finish(t, im.start(t)).must(t, exitUsage).says(t, "CARD_VERIFICATION_CODE")
}
