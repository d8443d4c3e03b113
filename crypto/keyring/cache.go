package keyring

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// retryPause is how long a key keeps quiet after a background load that failed, so
// that a KEK coming back is not met by all keys at once, over and over.
const retryPause = time.Second

// cache holds what is slow to load, for a bounded life.
//
// A value serves at once up to half of its life. After that it still serves, and
// one background load renews it. At the end of its life it is gone, and callers
// wait for a load. At most one load a key runs at a time; callers that wait share
// its outcome, and one that gives up leaves it running for the others.
//
// A load that fails leaves the value it had: until the end of its life nobody has
// said that it is wrong. A definite refusal says so and removes it at once.
type cache[K comparable, V any] struct {
	life   time.Duration
	clock  func() time.Time
	load   func(context.Context, K) (V, error)
	run    func(task func(context.Context)) error // in the background; fails once closed
	report func(error)                            // told why a value could not be renewed

	mu    sync.RWMutex
	slots map[K]*slot[V]
}

func newCache[K comparable, V any](r *Ring, life time.Duration, load func(context.Context, K) (V, error)) *cache[K, V] {
	return &cache[K, V]{
		life: life, clock: r.clock, load: load, run: r.lifetime.run, report: r.report,
		slots: make(map[K]*slot[V]),
	}
}

// get returns the value of key, loading it if need be.
func (c *cache[K, V]) get(ctx context.Context, key K) (V, error) {
	now := c.clock()
	c.mu.RLock()
	if s := c.slots[key]; s != nil && s.serves(now, c.life) && !s.due(now, c.life) {
		defer c.mu.RUnlock()
		return s.value, nil
	}
	c.mu.RUnlock()
	return c.renew(ctx, key, now)
}

// renew returns the value while it serves and starts its background load, or else
// waits for a load.
func (c *cache[K, V]) renew(ctx context.Context, key K, now time.Time) (V, error) {
	value, f := c.board(key, now)
	if f == nil {
		return value, nil
	}
	var none V
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		return none, fmt.Errorf("waiting for a key: %w", ctx.Err())
	}
}

// board returns the value if it serves, and otherwise the load to wait for. It
// starts the load that is due in either case.
func (c *cache[K, V]) board(key K, now time.Time) (V, *flight[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.slots[key]
	if s == nil {
		s = &slot[V]{}
		c.slots[key] = s
	}
	if s.serves(now, c.life) {
		if s.due(now, c.life) {
			c.launch(key, s, now)
		}
		return s.value, nil
	}
	var none V
	if s.flight != nil {
		return none, s.flight
	}
	return none, c.launch(key, s, now)
}

// launch starts the load of key. The caller holds the lock.
func (c *cache[K, V]) launch(key K, s *slot[V], now time.Time) *flight[V] {
	f := &flight[V]{started: now, done: make(chan struct{})}
	s.flight = f
	err := c.run(func(ctx context.Context) {
		f.value, f.err = c.load(ctx, key)
		c.land(key, f)
	})
	if err != nil { // nothing runs, so nothing else writes to f
		f.err = err
		s.flight = nil
		close(f.done)
	}
	return f
}

// land puts the outcome of a load where it belongs and wakes those who wait.
func (c *cache[K, V]) land(key K, f *flight[V]) {
	defer close(f.done)
	if c.settle(key, f) {
		c.report(f.err)
	}
}

// settle reports whether an older value goes on serving instead of f's.
func (c *cache[K, V]) settle(key K, f *flight[V]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.slots[key]
	if s == nil || s.flight != f {
		return false // dropped while under way: what f read may be what was dropped
	}
	s.flight = nil
	now := c.clock()
	switch {
	case f.err == nil:
		// Its age counts from before the load: the answer is not younger than that.
		s.value, s.loaded = f.value, f.started
	case definite(f.err) || !s.serves(now, c.life):
		delete(c.slots, key)
	default:
		s.retry = now.Add(retryPause)
		return true
	}
	return false
}

// definite reports whether err is an answer, as against the lack of one.
func definite(err error) bool {
	return errors.Is(err, ErrDenied) || errors.Is(err, ErrRefused) || errors.Is(err, ErrNoKey)
}
