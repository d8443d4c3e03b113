package ship_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ship"
)

var errDied = errors.New("died here")

// The process dies at each step, in each of its first deliveries, and starts again: nothing is lost, nothing overtakes.
func TestDeathAtEveryStep(t *testing.T) {
	steps := []string{"read", "deliver nothing", "deliver a part", "deliver all", "cursor write", "cursor rename", "cursor sync"}
	for _, step := range steps {
		for nth := 1; nth <= 4; nth++ {
			t.Run(fmt.Sprint(step, " ", nth), func(t *testing.T) { dieAndGoOn(t, step, nth) })
		}
	}
}

func dieAndGoOn(t *testing.T, step string, nth int) {
	t.Helper()
	l := newTestLog(t, "s", 3*ship.MaxEntries+17)
	l.batch = 30
	folder := t.TempDir()
	sink := newMemory()
	var times atomic.Int64
	died := make(chan struct{})
	// dies reports that this is where the process ends; everything after fails as well.
	dies := func(at string) bool {
		if at == step && times.Add(1) == int64(nth) {
			close(died)
		}
		return at == step && times.Load() >= int64(nth)
	}
	sink.before = func(_ context.Context, events []ship.Event) (int, error) {
		switch {
		case dies("deliver nothing"):
			return 0, errDied
		case dies("deliver a part"):
			return len(events) / 2, errDied
		case dies("deliver all"):
			return len(events), errDied
		}
		return len(events), nil
	}
	l.lie = func(b audit.Batch) audit.Batch {
		if dies("read") {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.broken = errDied
			return audit.Batch{}
		}
		return b
	}
	r := start(t, config(l, folder, map[string]ship.Sink{"a": sink}), func(s *ship.Shipper) {
		s.Interrupt(func(_, at string) error {
			if dies(at) {
				return errDied
			}
			return nil
		})
	})
	<-died
	if err := r.end(t); err != nil {
		t.Fatal(err)
	}
	l.broken, l.lie, sink.before = nil, nil, nil
	r = start(t, config(l, folder, map[string]ship.Sink{"a": sink}))
	l.grow(5)
	sink.wait(t, 3*ship.MaxEntries+21)
	if err := r.end(t); err != nil {
		t.Fatal(err)
	}
	sink.check(t, l)
}

// What fails while the process lives is tried again, and is an alarm until it works.
func TestFailureIsAnAlarmUntilItIsOver(t *testing.T) {
	l := newTestLog(t, "s", 30)
	sink := newMemory()
	var down atomic.Bool
	down.Store(true)
	sink.before = func(_ context.Context, events []ship.Event) (int, error) {
		if down.Load() {
			return len(events) / 3, errDown
		}
		return len(events), nil
	}
	log := newRecorder()
	cfg := config(l, t.TempDir(), map[string]ship.Sink{"a": sink})
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	r := start(t, cfg)
	log.wait(t, "level=ERROR", "sink=a", "alarm=failing", "down")
	if _, failing := r.LagOf("a"); !failing {
		t.Error("the metric does not say so")
	}
	down.Store(false)
	log.wait(t, "level=INFO", `msg="alarm over"`, "sink=a", "alarm=failing")
	if _, failing := r.LagOf("a"); failing {
		t.Error("the metric does not say that it is over")
	}
	if err := r.end(t); err != nil {
		t.Fatal(err)
	}
	sink.check(t, l)
	if n := strings.Count(log.text.String(), "level=ERROR"); n != 1 {
		t.Errorf("%d alarms, want 1", n)
	}
}

// One sink hangs and another refuses; the third has everything, and the log is not read further for the first two.
func TestSinksDoNotStallEachOther(t *testing.T) {
	l := newTestLog(t, "s", 10)
	hung, dead, well := newMemory(), newMemory(), newMemory()
	hung.before = func(ctx context.Context, _ []ship.Event) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	dead.before = func(context.Context, []ship.Event) (int, error) { return 0, errDown }
	log := newRecorder()
	cfg := config(l, t.TempDir(), map[string]ship.Sink{"hung": hung, "dead": dead, "well": well})
	cfg.Lag = ship.Lag{Entries: 50 * ship.MaxEntries, Age: 1 << 60}
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	r := start(t, cfg)
	const rounds = 60
	for i := range rounds {
		l.grow(ship.MaxEntries)
		well.wait(t, int64(9+(i+1)*ship.MaxEntries))
	}
	log.wait(t, "level=ERROR", "sink=hung", "alarm=behind")
	log.wait(t, "level=ERROR", "sink=dead", "alarm=behind")
	for _, name := range []string{"hung", "dead"} {
		if lag, _ := r.LagOf(name); lag.Entries != rounds*ship.MaxEntries+10 || lag.Age <= 0 {
			t.Errorf("%s: lag is %+v", name, lag)
		}
	}
	l.mu.Lock()
	served := l.served
	l.mu.Unlock()
	// All of it for the sink that is well and for the watch, and a few windows each for the others.
	if most := 2*(rounds*ship.MaxEntries+10) + 2*5*ship.MaxEntries; served > most {
		t.Errorf("%d entries were read, want at most %d", served, most)
	}
	if err := r.end(t); err != nil {
		t.Fatal(err)
	}
	well.check(t, l)
	if len(hung.indexs)+len(dead.indexs) > 0 {
		t.Error("a dead sink has entries")
	}
}

// A sink that is behind and comes back is no alarm any more.
func TestLagAlarmEnds(t *testing.T) {
	l := newTestLog(t, "s", 10)
	slow := newMemory()
	gate := make(chan struct{})
	var once sync.Once
	slow.before = func(_ context.Context, events []ship.Event) (int, error) {
		<-gate
		return len(events), nil
	}
	log := newRecorder()
	cfg := config(l, t.TempDir(), map[string]ship.Sink{"slow": slow})
	cfg.Lag = ship.Lag{Entries: 5, Age: 1 << 60}
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	r := start(t, cfg)
	defer once.Do(func() { close(gate) })
	log.wait(t, "level=ERROR", "sink=slow", "alarm=behind", "entries=10")
	once.Do(func() { close(gate) })
	log.wait(t, "level=INFO", `msg="alarm over"`, "sink=slow", "alarm=behind")
	if err := r.end(t); err != nil {
		t.Fatal(err)
	}
	slow.check(t, l)
}

// A server that goes away and comes back costs nothing but time; no stream is left behind.
func TestServerComesBack(t *testing.T) {
	l := newTestLog(t, "s", 100)
	sink := newMemory()
	r := start(t, config(l, t.TempDir(), map[string]ship.Sink{"a": sink}))
	sink.wait(t, 99)
	for range 5 {
		l.set(func() { l.broken = errDown })
		l.grow(10)
		l.set(func() { l.broken = nil })
		l.grow(10)
		sink.wait(t, int64(len(l.bodies)-1))
	}
	if err := r.end(t); err != nil {
		t.Fatal(err)
	}
	sink.check(t, l)
	if l.streams != 0 {
		t.Errorf("%d streams were left open", l.streams)
	}
}
