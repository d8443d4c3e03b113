package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long anything may take that should happen soon. It is long for the sake of busy machines.
const patience = 30 * time.Second

// lines collects what a process writes, and lets a test wait for a line.
type lines struct {
	mu      sync.Mutex
	text    bytes.Buffer
	written chan struct{} // closed at the next write
}

func newLines() *lines { return &lines{written: make(chan struct{})} }

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.written)
	l.written = make(chan struct{})
	return l.text.Write(p)
}

// String returns everything that was written.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

var errEnded = errors.New("the process ended before")

// wait returns the n-th whole line that contains part, counted from 1, once it is there. ended is closed when nothing
// will be written any more.
func (l *lines) wait(part string, n int, ended <-chan struct{}) (string, error) {
	deadline := time.After(patience)
	for {
		l.mu.Lock()
		line, written := nth(l.text.String(), part, n), l.written
		l.mu.Unlock()
		if line != "" {
			return line, nil
		}
		select {
		case <-written:
		case <-ended:
			if line := nth(l.String(), part, n); line != "" {
				return line, nil
			}
			return "", fmt.Errorf("%w: line %d with %q:\n%s", errEnded, n, part, l)
		case <-deadline:
			return "", fmt.Errorf("no line %d with %q after %s:\n%s", n, part, patience, l)
		}
	}
}

func nth(text, part string, n int) string {
	for line := range strings.Lines(text) {
		if strings.HasSuffix(line, "\n") && strings.Contains(line, part) {
			if n--; n == 0 {
				return line
			}
		}
	}
	return ""
}

// eventually asks again and again until what it asks for is so.
func eventually(t testing.TB, what string, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not so after %s: %v", what, patience, err)
		}
		<-tick.C
	}
}
