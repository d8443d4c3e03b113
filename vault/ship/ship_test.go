package ship_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ship"
)

// memory is a sink that keeps what it is given.
type memory struct {
	mu     sync.Mutex
	lines  []string
	indexs []int64
	// before is called with the sink unlocked; an error refuses the delivery, after keeping the part it says.
	before func(ctx context.Context, events []ship.Event) (keep int, err error)
	grown  chan struct{}
}

func newMemory() *memory { return &memory{grown: make(chan struct{})} }

func (m *memory) Deliver(ctx context.Context, events []ship.Event) error {
	keep, err := len(events), error(nil)
	if m.before != nil {
		keep, err = m.before(ctx, events)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range events[:keep] {
		m.indexs = append(m.indexs, events[i].Index)
		m.lines = append(m.lines, string(ship.AppendJSON(nil, &events[i])))
	}
	close(m.grown)
	m.grown = make(chan struct{})
	return err
}

func (m *memory) Close() error { return nil }

// wait returns when the sink has seen an index.
func (m *memory) wait(t *testing.T, index int64) {
	t.Helper()
	for {
		m.mu.Lock()
		grown, done := m.grown, len(m.indexs) > 0 && m.indexs[len(m.indexs)-1] >= index
		m.mu.Unlock()
		if done {
			return
		}
		select {
		case <-grown:
		case <-time.After(time.Minute):
			t.Fatalf("entry %d did not come", index)
		}
	}
}

// check fails where an entry is missing, changed, or comes before one that it follows. Repetitions are allowed where
// what follows them is repeated too.
func (m *memory) check(t *testing.T, l *testLog) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	checkOrder(t, l, m.indexs)
	for i, index := range m.indexs {
		if want := fmt.Sprintf(`{"index":%d,"entry":%s}`, index, l.bodies[index]); m.lines[i] != want {
			t.Fatalf("entry %d reads\n%s, want\n%s", index, m.lines[i], want)
		}
	}
}

func checkOrder(t *testing.T, l *testLog, indexes []int64) {
	t.Helper()
	next := int64(0)
	for i, index := range indexes {
		if index > next || i > 0 && index != indexes[i-1]+1 && index > indexes[i-1] {
			t.Fatalf("entry %d came after %d", index, indexes[max(0, i-1)])
		}
		next = max(next, index+1)
	}
	if next != int64(len(l.bodies)) {
		t.Fatalf("%d entries came of %d", next, len(l.bodies))
	}
}

// shipping is a Shipper at work.
type shipping struct {
	*ship.Shipper
	stop context.CancelFunc
	done chan error
}

func config(l *testLog, folder string, sinks map[string]ship.Sink) ship.Config {
	return ship.Config{
		Log: l, Keys: []note.Verifier{l.key}, Folder: folder, Sinks: sinks,
		Lag: ship.Lag{Entries: 1 << 40, Age: 1 << 60}, Clock: time.Now,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Meter: noop.Meter{},
	}
}

func start(t *testing.T, cfg ship.Config, prepare ...func(*ship.Shipper)) *shipping {
	t.Helper()
	s, err := ship.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Hasten()
	for _, p := range prepare {
		p(s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &shipping{s, cancel, make(chan error, 1)}
	go func() { r.done <- s.Run(ctx) }()
	t.Cleanup(cancel)
	return r
}

// end stops the shipper and returns what Run did.
func (r *shipping) end(t *testing.T) error {
	t.Helper()
	r.stop()
	return r.wait(t)
}

func (r *shipping) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(time.Minute):
		t.Fatal("Run did not return")
		return nil
	}
}

func TestShipsEverythingInOrder(t *testing.T) {
	l := newTestLog(t, "s", 250) // a backlog of five windows
	a, b := newMemory(), newMemory()
	folder := t.TempDir()
	r := start(t, config(l, folder, map[string]ship.Sink{"a": a, "b": b}))
	a.wait(t, 249)
	for range 20 {
		l.grow(7)
	}
	a.wait(t, 389)
	b.wait(t, 389)
	if err := r.end(t); err != nil {
		t.Fatal(err)
	}
	a.check(t, l)
	b.check(t, l)

	// It goes on where it was.
	again := newMemory()
	r = start(t, config(l, folder, map[string]ship.Sink{"a": again}))
	l.grow(3)
	again.wait(t, 392)
	if err := r.end(t); err != nil {
		t.Fatal(err)
	}
	if again.indexs[0] != 390 {
		t.Errorf("went on with entry %d, want 390", again.indexs[0])
	}
}

func TestShipsWhatWasDropped(t *testing.T) {
	l := newTestLog(t, "s", 10)
	l.dropped = 4
	sink := newMemory()
	r := start(t, config(l, t.TempDir(), map[string]ship.Sink{"a": sink}))
	sink.wait(t, 9)
	if err := r.end(t); err != nil {
		t.Fatal(err)
	}
	checkOrder(t, l, sink.indexs)
	if want := fmt.Sprintf(`{"index":3,"entry":null,"leaf_hash":"%s"}`, audit.LeafHash(l.bodies[3])); sink.lines[3] != want {
		t.Errorf("got %s, want %s", sink.lines[3], want)
	}
}

// A log that is not the one that was signed stops everything, and nothing of it reaches a sink.
func TestForgedLogStops(t *testing.T) {
	other := newTestLog(t, "o", 50)
	tests := []struct {
		name string
		lie  func(l *testLog, b *audit.Batch)
	}{
		{"changed body", func(l *testLog, b *audit.Batch) {
			e := testEntry(l.seed, 5)
			e.Purpose = "none"
			b.Entries[5].Body = e.Encode()
		}},
		{"body that is no entry", func(_ *testLog, b *audit.Batch) { b.Entries[5].Body = []byte("{}\n{}") }},
		{"changed hash of a dropped body", func(_ *testLog, b *audit.Batch) {
			b.Entries[5].Body, b.Entries[5].Leaf = nil, audit.Hash{1}
		}},
		{"dropped entry", func(_ *testLog, b *audit.Batch) { b.Entries = append(b.Entries[:5:5], b.Entries[6:]...) }},
		{"dropped and renumbered", func(_ *testLog, b *audit.Batch) {
			b.Entries = append(b.Entries[:5:5], b.Entries[6:]...)
			for i := range b.Entries {
				b.Entries[i].Index = int64(i)
			}
			b.Entries = append(b.Entries, audit.LogEntry{Index: 49, Body: b.Entries[0].Body})
		}},
		{"swapped entries", func(_ *testLog, b *audit.Batch) {
			b.Entries[5].Body, b.Entries[6].Body = b.Entries[6].Body, b.Entries[5].Body
		}},
		{"entry twice", func(_ *testLog, b *audit.Batch) { b.Entries[6] = b.Entries[5] }},
		{"entry beyond the checkpoint", func(_ *testLog, b *audit.Batch) {
			b.Entries = append(b.Entries, audit.LogEntry{Index: 50, Body: b.Entries[0].Body})
			b.Entries = b.Entries[50:]
		}},
		{"end of the entries under an old checkpoint", func(_ *testLog, b *audit.Batch) {
			b.Checkpoint, b.Entries = nil, append(b.Entries[:48:48], b.Entries[47], b.Entries[49])
		}},
		{"checkpoint of another key", func(_ *testLog, b *audit.Batch) { b.Checkpoint = other.checkpoint() }},
		{"checkpoint of another tree", func(l *testLog, b *audit.Batch) {
			b.Checkpoint, _ = note.Sign(&note.Note{Text: audit.Checkpoint{Origin: origin, Size: 50, Root: audit.Hash{1}}.Text()}, l.signer)
		}},
		{"checkpoint of another origin", func(l *testLog, b *audit.Batch) {
			b.Checkpoint, _ = note.Sign(&note.Note{Text: audit.Checkpoint{Origin: "x", Size: 50}.Text()}, l.signer)
		}},
		{"unsigned checkpoint", func(_ *testLog, b *audit.Batch) { b.Checkpoint = b.Checkpoint[:len(b.Checkpoint)-10] }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newTestLog(t, "s", 50)
			l.lie = func(b audit.Batch) audit.Batch {
				if len(b.Entries) > 0 {
					test.lie(l, &b)
				}
				return b
			}
			sink := newMemory()
			r := start(t, config(l, t.TempDir(), map[string]ship.Sink{"a": sink}))
			if err := r.wait(t); !errors.Is(err, ship.ErrForged) {
				t.Fatalf("Run returned %v, want ErrForged", err)
			}
			if len(sink.indexs) > 0 {
				t.Errorf("delivered %d entries", len(sink.indexs))
			}
		})
	}
}

// The same inside a backlog, where a window ends before the checkpoint does.
func TestForgedBacklogStops(t *testing.T) {
	l := newTestLog(t, "s", 2*ship.MaxEntries+10)
	l.lie = func(b audit.Batch) audit.Batch {
		for i := range b.Entries {
			if b.Entries[i].Index == ship.MaxEntries+3 {
				b.Entries[i].Body = l.bodies[0]
			}
		}
		return b
	}
	sink := newMemory()
	r := start(t, config(l, t.TempDir(), map[string]ship.Sink{"a": sink}))
	if err := r.wait(t); !errors.Is(err, ship.ErrForged) {
		t.Fatalf("Run returned %v, want ErrForged", err)
	}
	if n := len(sink.indexs); n > ship.MaxEntries {
		t.Errorf("delivered %d entries, forged ones among them", n)
	}
}

// A log that was forked behind what was delivered is another log, though its key signed it.
func TestForkedLogStops(t *testing.T) {
	l := newTestLog(t, "s", 20)
	folder := t.TempDir()
	sink := newMemory()
	r := start(t, config(l, folder, map[string]ship.Sink{"a": sink}))
	sink.wait(t, 19)
	if err := r.end(t); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{20, 25} {
		forked := newTestLog(t, "f", size)
		forked.signer, forked.key = l.signer, l.key
		sink := newMemory()
		r := start(t, config(forked, folder, map[string]ship.Sink{"a": sink}))
		if err := r.wait(t); !errors.Is(err, ship.ErrForged) {
			t.Fatalf("%d entries: Run returned %v, want ErrForged", size, err)
		}
		if len(sink.indexs) > 0 {
			t.Errorf("%d entries: delivered %d", size, len(sink.indexs))
		}
	}
}

// A log that lost its end is an alarm; it may be a replica that is behind.
func TestShorterLogIsAnAlarm(t *testing.T) {
	l := newTestLog(t, "s", 20)
	folder := t.TempDir()
	sink := newMemory()
	r := start(t, config(l, folder, map[string]ship.Sink{"a": sink}))
	sink.wait(t, 19)
	if err := r.end(t); err != nil {
		t.Fatal(err)
	}
	behind := newTestLog(t, "s", 15)
	sink = newMemory()
	log := newRecorder()
	cfg := config(behind, folder, map[string]ship.Sink{"a": sink})
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	r = start(t, cfg)
	log.wait(t, "level=ERROR", "shorter than what was delivered")
	behind.grow(10)
	sink.wait(t, 24)
	log.wait(t, "level=INFO", "alarm over")
	if err := r.end(t); err != nil {
		t.Fatal(err)
	}
	if sink.indexs[0] != 20 {
		t.Errorf("went on with entry %d, want 20", sink.indexs[0])
	}
}

// recorder keeps log lines.
type recorder struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{}
}

func newRecorder() *recorder { return &recorder{grown: make(chan struct{})} }

func (r *recorder) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.grown)
	r.grown = make(chan struct{})
	return r.text.Write(line)
}

// wait returns when a line holds all words.
func (r *recorder) wait(t *testing.T, words ...string) {
	t.Helper()
	for {
		r.mu.Lock()
		text, grown := r.text.String(), r.grown
		r.mu.Unlock()
		for line := range strings.Lines(text) {
			found := true
			for _, word := range words {
				found = found && strings.Contains(line, word)
			}
			if found {
				return
			}
		}
		select {
		case <-grown:
		case <-time.After(time.Minute):
			t.Fatalf("no line with %q in\n%s", words, text)
		}
	}
}

func TestNewRefusesWhatIsNoCursor(t *testing.T) {
	l := newTestLog(t, "s", 1)
	for name, text := range map[string]string{
		"cut off":      `{"version":1,"orig`,
		"unknown key":  `{"version":1,"origin":"` + origin + `","next":0,"tree":null,"more":1}`,
		"version":      `{"version":2,"origin":"` + origin + `","next":0,"tree":null}`,
		"another log":  `{"version":1,"origin":"x","next":0,"tree":null}`,
		"no tree":      `{"version":1,"origin":"` + origin + `","next":3,"tree":null}`,
		"short hashes": `{"version":1,"origin":"` + origin + `","next":1,"tree":["AAAA"]}`,
		"negative":     `{"version":1,"origin":"` + origin + `","next":-1,"tree":null}`,
	} {
		folder := t.TempDir()
		writeFile(t, filepath.Join(folder, "a.json"), text)
		if _, err := ship.New(config(l, folder, map[string]ship.Sink{"a": newMemory()})); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
