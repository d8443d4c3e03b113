package e2e

import (
	"slices"
	"strings"
	"sync"
	"testing"
)

// transcript is what the processes of a story wrote, and the PANs that none of it may hold.
type transcript struct {
	mu      sync.Mutex
	outputs []output
	pans    []string
}

// output is what a process wrote.
type output struct {
	what           string
	stdout, stderr func() string
	// shows: its standard output is where a PAN belongs.
	shows bool
}

func (tr *transcript) ran(o output) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.outputs = append(tr.outputs, o)
}

// saw notes PANs that the story put in or got out.
func (tr *transcript) saw(pans ...string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.pans = append(tr.pans, pans...)
}

// known returns the PANs of the story, each once.
func (tr *transcript) known() []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(tr.pans)))
}

// search finds PANs where none belong, and races.
func (tr *transcript) search(t testing.TB) {
	t.Helper()
	s := newScanner(tr.known()...)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, o := range tr.outputs {
		if !o.shows {
			s.clean(t, "standard output of "+o.what, []byte(o.stdout()))
		}
		s.clean(t, "standard error of "+o.what, []byte(o.stderr()))
		if _, race, found := strings.Cut(o.stderr(), "WARNING: DATA RACE"); found {
			t.Errorf("%s: a data race:%.3000s", o.what, race)
		}
	}
}
