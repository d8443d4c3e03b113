package keyring

import "time"

// slot is what the cache has of one key: a value, the load under way, or both.
type slot[V any] struct {
	value  V
	loaded time.Time // when the load of value began; zero: no value
	retry  time.Time // no background load before
	flight *flight[V]
}

// flight is a load under way. value and err are set before done is closed.
type flight[V any] struct {
	started time.Time
	done    chan struct{}
	value   V
	err     error
}

// serves reports whether the value may be used. A clock that went back past the
// load proves nothing about its age, so the value does not serve.
func (s *slot[V]) serves(now time.Time, life time.Duration) bool {
	age := now.Sub(s.loaded)
	return !s.loaded.IsZero() && age >= 0 && age < life
}

// due reports whether a value that serves should be renewed in the background.
func (s *slot[V]) due(now time.Time, life time.Duration) bool {
	return now.Sub(s.loaded) >= life/2 && s.flight == nil && !now.Before(s.retry)
}

// peek returns the value of key whatever its age.
func (c *cache[K, V]) peek(key K) (value V, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if s := c.slots[key]; s != nil && !s.loaded.IsZero() {
		return s.value, true
	}
	return value, false
}

// drop forgets key. A load under way still answers those who wait for it, but its
// value is not kept.
func (c *cache[K, V]) drop(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.slots, key)
}

// sweep forgets the values whose life is over, so that a key nobody asks for does
// not stay in memory.
func (c *cache[K, V]) sweep() {
	now := c.clock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, s := range c.slots {
		switch {
		case s.serves(now, c.life):
		case s.flight == nil:
			delete(c.slots, key)
		default:
			*s = slot[V]{flight: s.flight}
		}
	}
}

// clear forgets everything.
func (c *cache[K, V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.slots)
}
