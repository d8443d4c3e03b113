package server

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var errRefused = errors.New("refused by the test")

// loads records what a Watch hands over and refuses what starts with "bad".
type loads struct{ seen []string }

func (l *loads) load(contents [][]byte) error {
	l.seen = append(l.seen, string(bytes.Join(contents, []byte("|"))))
	if bytes.HasPrefix(contents[0], []byte("bad")) {
		return errRefused
	}
	return nil
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func twoFiles(t *testing.T) (a, b string) {
	t.Helper()
	dir := t.TempDir()
	a, b = filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write(t, a, "1")
	write(t, b, "2")
	return a, b
}

func TestWatchLoadsWhatChanged(t *testing.T) {
	a, b := twoFiles(t)
	var l loads
	w, err := NewWatch([]string{a, b}, l.load)
	if err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		if err := w.Check(); err != nil {
			t.Fatal(err)
		}
	}
	check() // nothing changed
	write(t, b, "3")
	check()
	write(t, a, "13")
	write(t, b, "")
	check() // the same bytes, in other files
	write(t, a, "1")
	write(t, b, "2")
	check()
	if want := []string{"1|2", "1|3", "13|", "1|2"}; !slices.Equal(l.seen, want) {
		t.Errorf("loaded %q, want %q", l.seen, want)
	}
}

func TestWatchRefusedFilesAreTriedAgain(t *testing.T) {
	a, b := twoFiles(t)
	var l loads
	w, err := NewWatch([]string{a, b}, l.load)
	if err != nil {
		t.Fatal(err)
	}
	write(t, a, "bad")
	for range 2 {
		if err := w.Check(); !errors.Is(err, errRefused) {
			t.Errorf("error %v, want %v", err, errRefused)
		}
	}
	write(t, a, "1") // back to the last good contents, which are still in use
	if err := w.Check(); err != nil {
		t.Error(err)
	}
	if want := []string{"1|2", "bad|2", "bad|2"}; !slices.Equal(l.seen, want) {
		t.Errorf("loaded %q, want %q", l.seen, want)
	}
}

func TestWatchNeedsItsFiles(t *testing.T) {
	a, b := twoFiles(t)
	var l loads
	if _, err := NewWatch([]string{a, b + "x"}, l.load); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want that the file does not exist", err)
	}
	if len(l.seen) != 0 {
		t.Error("loaded half of the files")
	}
	write(t, a, "bad")
	if _, err := NewWatch([]string{a, b}, l.load); !errors.Is(err, errRefused) {
		t.Errorf("error %v, want %v", err, errRefused)
	}
}

func TestWatchRunChecksAtEveryInterval(t *testing.T) {
	a, b := twoFiles(t)
	synctest.Test(t, func(t *testing.T) {
		var l loads
		var log bytes.Buffer
		w, err := NewWatch([]string{a, b}, l.load)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			w.Run(ctx, time.Minute, slog.New(slog.NewTextHandler(&log, nil)))
		}()
		write(t, a, "bad")
		time.Sleep(150 * time.Second) // two intervals of the bubble's time
		synctest.Wait()
		write(t, a, "4")
		time.Sleep(time.Minute)
		synctest.Wait()
		cancel()
		<-ended
		if want := []string{"1|2", "bad|2", "bad|2", "4|2"}; !slices.Equal(l.seen, want) {
			t.Errorf("loaded %q, want %q", l.seen, want)
		}
		if n := strings.Count(log.String(), "files refused"); n != 2 {
			t.Errorf("%d complaints in the log, want 2:\n%s", n, log.String())
		}
	})
}
