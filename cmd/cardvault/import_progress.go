package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"golang.org/x/term"
)

// importBar shows a person how far an import is, how fast, and how long it will
// take. Where nobody watches it is silent.
type importBar struct {
	writer  progress.Writer
	tracker *progress.Tracker
	base    int64         // lines of earlier runs, which would flatter the rate
	left    chan struct{} // closed once the bar has left the terminal
}

// newImportBar starts a bar over total lines, 0 where that is not known, of which
// some are done.
func newImportBar(w io.Writer, total, done int64) *importBar {
	if !isTerminal(w) {
		return &importBar{}
	}
	b := &importBar{
		writer:  progress.NewWriter(),
		tracker: &progress.Tracker{Message: "lines", Total: max(0, total-done), Units: progress.UnitsDefault, AutoStopDisabled: true},
		base:    done,
		left:    make(chan struct{}),
	}
	b.writer.SetOutputWriter(w)
	b.writer.SetStyle(progress.StyleBlocks)
	b.writer.Style().Visibility.ETA = true
	b.writer.Style().Visibility.Speed = true
	b.writer.SetUpdateFrequency(200 * time.Millisecond)
	b.writer.SetAutoStop(true)
	b.writer.AppendTracker(b.tracker)
	go func() {
		defer close(b.left)
		b.writer.Render()
	}()
	return b
}

// at moves the bar to a line.
func (b *importBar) at(line int64) {
	if b.tracker != nil {
		b.tracker.SetValue(line - b.base)
	}
}

// stop ends the bar and waits until it has left the terminal.
func (b *importBar) stop(err error) {
	if b.tracker == nil {
		return
	}
	if err != nil {
		b.tracker.MarkAsErrored()
	} else {
		b.tracker.MarkAsDone()
	}
	<-b.left
}

// isTerminal reports whether a person reads w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// countLines counts the lines of a regular file for the bar, and goes back to the
// start. Where there is no bar or no file it returns 0.
func countLines(in io.Reader, head importHead, w io.Writer) (int64, error) {
	f, ok := in.(*os.File)
	if !ok || head.Modified.IsZero() || !isTerminal(w) {
		return 0, nil
	}
	buffer := make([]byte, 64<<10)
	total := int64(1) // the last line may have no end
	for {
		n, err := f.Read(buffer)
		total += int64(bytes.Count(buffer[:n], []byte("\n")))
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, failed("", "read the input: %w", err)
		}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, failed("", "read the input: %w", err)
	}
	return total, nil
}
