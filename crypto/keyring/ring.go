// Package keyring hands out keys: the ones that protect data, each wrapped by a
// key-encryption key (KEK) that never comes here.
//
// Key versions lie wrapped in a [Store]. A [Ring] unwraps a version with one call
// to the [KEK] and keeps it in memory for a bounded time, so that the KEK sees a
// call now and then for each key and never one for each record. The versions of a
// [Scope] succeed each other: the active one protects new data, those before it
// only open what they once sealed.
//
// Invariants:
//
//   - A version is used only in its own place: its row must name the scope that was
//     asked for, and its wrapping is bound to purpose, tenant, subject and id.
//   - A new key seals nothing before its stored row was read back and unwrapped. So
//     no record is ever sealed under a key that could not be had again.
//   - Uses of a data key are counted in the store before they happen. The count is
//     never below the truth, whatever crashes.
//   - No key serves longer than Config.MaxAge after the KEK last unwrapped it, and a
//     denial by the KEK ends it at once. What the store says about a version, its
//     destruction or its successor, is known within [Staleness].
//   - A cached key is not wiped when it leaves the cache, since a caller may be using
//     it: zeros for a key would be worse than a copy waiting to be collected. The
//     bytes that the KEK returned are wiped as soon as the key is made of them.
package keyring

import (
	"errors"
	"time"
)

// Staleness is how old the ring's knowledge of the store may be. For this long
// after a rotation a replica may go on sealing under the retiring version, and
// after a destruction may go on opening; whoever must know that a version seals no
// more decides it in the store, in the transaction that writes the record.
//
// A version that is in use costs one read in about half of this time, which is
// nothing beside the reads of records, and a rotation reaches all replicas before
// the person who asked for it looks again.
const Staleness = 5 * time.Second

// ErrRefused is returned if a version exists but must not be used: it was
// destroyed, it was wrapped by another kind of KEK, or its row is not of the scope
// that was asked for.
var ErrRefused = errors.New("key refused")

// Config is what a Ring needs. All fields but Report are required.
type Config struct {
	KEK   KEK
	Store Store

	// Clock is time.Now, or stands in for it. Ages are measured with the monotonic
	// part of what it returns where there is one.
	Clock func() time.Time

	// MaxAge is how long an unwrapped key serves without the KEK. It is asked again
	// at half of that.
	MaxAge time.Duration

	// DataCryptoperiod is how long a data key may seal (NIST SP 800-57 part 1 rev. 5
	// §5.3). Its successor takes over by itself when nine tenths have passed, so that
	// an outage of the KEK does not stop sealing at the end.
	DataCryptoperiod time.Duration

	// Report, if not nil, is told of errors that no caller sees, since an older key
	// still serves: a KEK out of reach, a successor that could not be made. It is
	// called from many goroutines and must not block.
	Report func(error)
}

func (c *Config) validate() error {
	switch {
	case c.KEK == nil:
		return errors.New("keyring: KEK is missing")
	case c.Store == nil:
		return errors.New("keyring: Store is missing")
	case c.Clock == nil:
		return errors.New("keyring: Clock is missing")
	case c.MaxAge <= 0:
		return errors.New("keyring: MaxAge must be positive")
	case c.DataCryptoperiod <= 0:
		return errors.New("keyring: DataCryptoperiod must be positive")
	}
	return nil
}

// Ring hands out keys. It is safe for concurrent use. Make it with New.
type Ring struct {
	kek          KEK
	store        Store
	clock        func() time.Time
	cryptoperiod time.Duration
	report       func(error)

	lifetime *lifetime

	// What the store says, for as long as Staleness.
	active *cache[Scope, *active]
	rows   *cache[place, Version]

	// What the KEK unwrapped, for as long as MaxAge.
	data         *cache[place, *DataKey]
	fingerprints *cache[place, Generations]
	ranges       *cache[place, *RangeKey]
}

// place is where a version is expected: the scope that asks for it, and its id.
type place struct {
	scope Scope
	id    ID
}

// New returns a Ring, which calls neither the KEK nor the store before it is asked
// for a key. Close it to end its goroutines.
func New(cfg Config) (*Ring, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Report == nil {
		cfg.Report = func(error) {}
	}
	r := &Ring{
		kek: cfg.KEK, store: cfg.Store, clock: cfg.Clock, cryptoperiod: cfg.DataCryptoperiod, report: cfg.Report,
		lifetime: newLifetime(),
	}
	r.active = newCache(r, Staleness, r.loadActive)
	r.rows = newCache(r, Staleness, r.loadRow)
	r.data = newCache(r, cfg.MaxAge, unwrapper(r, newDataKey))
	r.fingerprints = newCache(r, cfg.MaxAge, unwrapper(r, newGenerations))
	r.ranges = newCache(r, cfg.MaxAge, unwrapper(r, newRangeKey))
	return r, r.lifetime.every(max(cfg.MaxAge/4, time.Second), r.sweep)
}

// Close ends the ring's goroutines, waits for them and forgets every key. Calls
// that are waiting fail; later ones fail with [ErrClosed].
func (r *Ring) Close() {
	r.lifetime.close()
	r.active.clear()
	r.rows.clear()
	r.data.clear()
	r.fingerprints.clear()
	r.ranges.clear()
}

func (r *Ring) sweep() {
	r.active.sweep()
	r.rows.sweep()
	r.data.sweep()
	r.fingerprints.sweep()
	r.ranges.sweep()
}
