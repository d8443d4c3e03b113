package ship

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// follower ships to one sink.
type follower struct {
	shipper  *Shipper
	name     string
	sink     Sink
	cursor   cursor
	position position
	// pending is verified and not delivered.
	pending window

	failures failures
	// For other goroutines: the index after the last delivered entry, and the time of
	// the first pending one in Unix microseconds, 0 where nothing is pending.
	next, oldest atomic.Int64
}

// run ships until ctx ends or the log turns out forged.
func (f *follower) run(ctx context.Context) error {
	return f.shipper.persist(ctx, &f.failures, f.attempt)
}

// attempt delivers what is pending and then what the log has, up to the first
// error. The log is read again only when the sink has taken what was read before,
// so that a sink that is down does not open streams.
func (f *follower) attempt(ctx context.Context) error {
	if err := f.deliver(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	windows := make(chan received)
	var reader sync.WaitGroup
	reader.Go(func() { f.read(ctx, windows) })
	defer reader.Wait()
	defer cancel()
	for {
		readErr := f.gather(ctx, windows)
		if err := f.deliver(ctx); err != nil {
			return err
		}
		if readErr != nil {
			return readErr
		}
	}
}

// received is a window or the error that ended the stream.
type received struct {
	window window
	err    error
}

// read sends the log's windows, then the error that ended it.
func (f *follower) read(ctx context.Context, windows chan<- received) {
	for w, err := range f.shipper.readVerified(ctx, f.position) {
		select {
		case windows <- received{w, err}:
		case <-ctx.Done():
			return
		}
	}
}

// gather waits for a window and takes what else comes within a moment: a delivery
// costs much the same for one entry and for a thousand. The error is the stream's;
// what is pending is to be delivered before.
func (f *follower) gather(ctx context.Context, windows <-chan received) error {
	timer := time.NewTimer(f.shipper.pace.gather)
	timer.Stop()
	defer timer.Stop()
	for !f.pending.full(f.shipper.pace.entries) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return nil
		case r := <-windows:
			if r.err != nil {
				return r.err
			}
			if len(f.pending.events) == 0 {
				timer.Reset(f.shipper.pace.gather)
			}
			f.take(r.window)
		}
	}
	return nil
}

// take adds a window to what is pending.
func (f *follower) take(w window) {
	if f.oldest.Load() == 0 {
		for _, e := range w.events {
			if !e.Dropped() {
				f.oldest.Store(e.Entry.Time.UnixMicro())
				break
			}
		}
	}
	f.pending = window{append(f.pending.events, w.events...), f.pending.bytes + w.bytes, w.next}
}

// deliver hands the pending window to the sink and moves the cursor behind it. A
// crash before the cursor is saved delivers the window again, and one after it does
// not: nothing is lost because the sink has acknowledged by then.
func (f *follower) deliver(ctx context.Context) error {
	if len(f.pending.events) == 0 {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, f.shipper.pace.delivery)
	defer cancel()
	if err := f.sink.Deliver(bounded, f.pending.events); err != nil {
		return fmt.Errorf("deliver from entry %d: %w", f.position.Next, err)
	}
	if err := f.cursor.save(f.pending.next); err != nil {
		return err
	}
	f.shipper.delivered.Add(ctx, int64(len(f.pending.events)), metric.WithAttributes(attribute.String("sink", f.name)))
	f.position, f.pending = f.pending.next, window{}
	f.next.Store(f.position.Next)
	f.oldest.Store(0)
	f.failures.over(ctx)
	return nil
}

// persist repeats an attempt until ctx ends, which is no error, or until there is
// no sense in it.
func (s *Shipper) persist(ctx context.Context, failing *failures, attempt func(context.Context) error) error {
	for ctx.Err() == nil {
		began := s.cfg.Clock()
		err := attempt(ctx)
		if errors.Is(err, ErrForged) {
			return fmt.Errorf("%s %s: %w", failing.what, failing.name, err)
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to end
		}
		// A stream that held for a while was none that failed: servers end theirs from
		// time to time.
		if s.cfg.Clock().Sub(began) > 2*s.pace.delivery {
			failing.over(ctx)
		}
		failing.note(ctx, err)
		pause(ctx, s.pace.backoff(failing.count.Load()))
	}
	return nil
}

// failures are the attempts that failed one after the other.
type failures struct {
	what, name string
	logger     *slog.Logger
	count      atomic.Int64
}

// note counts a failure. The first may be a connection that had its time; when
// trying again fails too, that is an alarm, once.
func (f *failures) note(ctx context.Context, err error) {
	attrs := []slog.Attr{slog.String(f.what, f.name), slog.Any("error", err)}
	switch f.count.Add(1) {
	case 1:
		f.logger.LogAttrs(ctx, slog.LevelInfo, "trying again", attrs...)
	case 2:
		f.logger.LogAttrs(ctx, slog.LevelError, "alarm", append(attrs, slog.String("alarm", "failing"))...)
	default:
		f.logger.LogAttrs(ctx, slog.LevelDebug, "still failing", attrs...)
	}
}

// over ends the failures.
func (f *failures) over(ctx context.Context) {
	if f.count.Swap(0) > 1 {
		f.logger.LogAttrs(ctx, slog.LevelInfo, "alarm over", slog.String(f.what, f.name), slog.String("alarm", "failing"))
	}
}

// failing reports whether there is an alarm.
func (f *failures) failing() bool { return f.count.Load() > 1 }
