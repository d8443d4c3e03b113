package keyring

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardvault/cardvault/crypto/secret"
)

// plainKEK and oneRow are the least that a ring runs on.
type plainKEK struct{ KEK }

func (plainKEK) Kind() string { return "plain" }

func (plainKEK) Wrap(_ context.Context, _ []byte, key secret.Bytes) (wrapped []byte, version string, err error) {
	return append([]byte(nil), key.Reveal()...), "1", nil
}

func (plainKEK) Unwrap(_ context.Context, _, wrapped []byte) (secret.Bytes, error) {
	return secret.New(append([]byte(nil), wrapped...)), nil
}

type oneRow struct {
	Store
	row *Version
}

func (s oneRow) ActiveKey(_ context.Context, scope Scope) (Version, error) {
	if s.row.Scope != scope {
		return Version{}, ErrNoKey
	}
	return *s.row, nil
}

func (s oneRow) Key(context.Context, string, ID) (Version, error)            { return *s.row, nil }
func (s oneRow) AddKey(_ context.Context, v Version, _ ID) error             { *s.row = v; return nil }
func (s oneRow) ReserveUses(context.Context, string, ID, int64, int64) error { return nil }

func newPlainRing(t *testing.T, row *Version) *Ring {
	t.Helper()
	r, err := New(Config{KEK: plainKEK{}, Store: oneRow{row: row}, Clock: time.Now, MaxAge: time.Hour, DataCryptoperiod: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	if _, err := r.DataKey(t.Context(), "acme", 1); err != nil {
		t.Fatal(err)
	}
	return r
}

// held counts the values that the ring keeps.
func held(r *Ring) int { return size(r.active) + size(r.rows) + size(r.data) }

// A key that nobody asks for any more leaves the memory when its life is over.
func TestIdleKeysLeaveTheMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPlainRing(t, &Version{})
		if held(r) != 3 {
			t.Fatalf("%d slots hold the key", held(r))
		}
		time.Sleep(time.Hour + time.Hour/4 + time.Second)
		synctest.Wait()
		if held(r) != 0 {
			t.Errorf("%d slots still hold an idle key", held(r))
		}
	})
}

func TestDestroyedKeyLeavesTheMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var row Version
		r := newPlainRing(t, &row)
		row.State = StateDestroyed
		time.Sleep(Staleness)
		if _, err := r.DataKeyByID(t.Context(), "acme", row.ID); !errors.Is(err, ErrRefused) {
			t.Fatal(err)
		}
		if size(r.data) != 0 {
			t.Error("the ring still holds a destroyed key")
		}
	})
}

func TestCloseForgetsTheKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPlainRing(t, &Version{})
		r.Close()
		if held(r) != 0 {
			t.Errorf("%d slots still hold something", held(r))
		}
	})
}

func size[K comparable, V any](c *cache[K, V]) int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.slots)
}

// What is dropped while a load of it runs does not come back with that load, be it
// before or after the next load.
func TestDroppedWhileLoading(t *testing.T) {
	for _, order := range [][]string{{"old", "new"}, {"new", "old"}} {
		synctest.Test(t, func(t *testing.T) {
			l := newLifetime()
			defer l.close()
			loads := make(chan string, 2)
			loads <- "old"
			loads <- "new"
			release := map[string]chan struct{}{"old": make(chan struct{}), "new": make(chan struct{})}
			c := newCache(&Ring{clock: time.Now, lifetime: l}, time.Hour, func(context.Context, string) (string, error) {
				value := <-loads
				<-release[value]
				return value, nil
			})
			wait := func(want string) {
				if v, err := c.get(t.Context(), "k"); v != want || err != nil {
					t.Errorf("got %q, %v; want %q", v, err, want)
				}
			}
			go wait("old")
			synctest.Wait()
			c.drop("k")
			go wait("new")
			synctest.Wait()
			for _, value := range order {
				close(release[value])
				synctest.Wait()
			}
			wait("new")
		})
	}
}

// A value whose life ends while it is being renewed is not kept for the renewal.
func TestSweepDuringALoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLifetime()
		defer l.close()
		block := make(chan struct{})
		loads := 0
		c := newCache(&Ring{clock: time.Now, lifetime: l, report: func(error) {}}, time.Second, func(context.Context, string) (string, error) {
			if loads++; loads > 1 {
				<-block
				return "", errors.New("no answer")
			}
			return "key", nil
		})
		if _, err := c.get(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second / 2)
		if v, err := c.get(t.Context(), "k"); v != "key" || err != nil {
			t.Fatal(v, err)
		}
		time.Sleep(time.Second / 2)
		c.sweep()
		if v, ok := c.peek("k"); ok {
			t.Errorf("still holds %q", v)
		}
		close(block)
		synctest.Wait()
		if size(c) != 0 {
			t.Errorf("%d slots after the load failed", size(c))
		}
	})
}
