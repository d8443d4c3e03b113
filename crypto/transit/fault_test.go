package transit_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/secret"
	"github.com/cardvault/cardvault/crypto/transit"
)

// Whatever keeps the server from answering is unavailability, never a denial, and
// everything works again when it is over.
func TestOutages(t *testing.T) {
	t.Parallel() // it mostly waits
	server := startWithKey(t)
	auth := appRole(t, server, leastPrivilege(t))
	outages := []struct {
		name       string
		begin, end func(testing.TB)
		timeouts   transit.Timeouts
	}{
		{"sealed", server.Seal, server.Unseal, generous},
		{"stopped", server.Stop, server.Restart, generous},
		{"paused", server.Pause, server.Resume, transit.Timeouts{Call: time.Second, Attempt: 300 * time.Millisecond}},
	}
	for _, outage := range outages {
		t.Run(outage.name, func(t *testing.T) {
			kek := open(t, server, auth, func(c *transit.Config) { c.Timeouts = outage.timeouts })
			eventually(t, "the server answers in time", func() bool { return tryRoundTrip(t, kek) == nil })
			outage.begin(t)
			mustMean(t, "outage", tryRoundTrip(t, kek), keyring.ErrUnavailable)
			_, err := kek.Unwrap(t.Context(), []byte("b"), []byte("vault:v1:AAAA"))
			mustMean(t, "unwrap", err, keyring.ErrUnavailable)
			mustMean(t, "check", kek.Check(t.Context()), keyring.ErrUnavailable)
			outage.end(t)
			eventually(t, "all is well again", func() bool {
				err := tryRoundTrip(t, kek)
				if err != nil {
					mustMean(t, "recovery", err, keyring.ErrUnavailable)
				}
				return err == nil
			})
		})
	}
}

// A restart in the middle of things fails no call: it is repeated.
func TestRestartBetweenCalls(t *testing.T) {
	server := startWithKey(t)
	kek := open(t, server, appRole(t, server, leastPrivilege(t)))
	roundTrip(t, kek)
	server.Restart(t)
	roundTrip(t, kek)
}

// A server that is down when we start is waited for by whoever wants it, with the
// same KEK.
func TestServerComesUpLater(t *testing.T) {
	server := startWithKey(t)
	kek := open(t, server, appRole(t, server, leastPrivilege(t)))
	server.Stop(t)
	if err := kek.Check(t.Context()); !errors.Is(err, keyring.ErrUnavailable) {
		t.Fatal(err)
	}
	server.Restart(t)
	eventually(t, "check passes", func() bool { return kek.Check(t.Context()) == nil })
}

// Close ends what hangs.
func TestCloseWhileTheServerHangs(t *testing.T) {
	server := startWithKey(t)
	kek := open(t, server, appRole(t, server, leastPrivilege(t)))
	server.Pause(t)
	defer server.Resume(t)
	failed := make(chan error, 1)
	go func() { // waits for its login
		_, _, err := kek.Wrap(t.Context(), []byte("b"), secret.Random(32))
		failed <- err
	}()
	kek.Close()
	if err := <-failed; !errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("the call under way: %v", err)
	}
	if _, _, err := kek.Wrap(t.Context(), []byte("b"), secret.Random(32)); !errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("after Close: %v", err)
	}
	kek.Close()
}

func TestCallersDeadlineIsKept(t *testing.T) {
	server := startWithKey(t)
	kek := open(t, server, appRole(t, server, leastPrivilege(t)))
	roundTrip(t, kek)
	server.Pause(t)
	defer server.Resume(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, _, err := kek.Wrap(ctx, []byte("b"), secret.Random(32))
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("Wrap: %v", err)
	}
}

// P11 with the real thing: a ring over a sealed server serves what it has for MaxAge
// and then fails closed, and comes back with the server.
func TestRingOverASealedServer(t *testing.T) {
	server := startWithKey(t)
	kek := open(t, server, appRole(t, server, leastPrivilege(t)))
	var passed atomic.Int64
	start := time.Now().Round(0)
	ring, err := keyring.New(keyring.Config{
		KEK: kek, Store: new(oneKeyStore), MaxAge: time.Hour, DataCryptoperiod: 1000 * time.Hour,
		Clock: func() time.Time { return start.Add(time.Duration(passed.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ring.Close)
	seal := func() error { _, err := ring.DataKey(t.Context(), "acme", 1); return err }
	if err := seal(); err != nil {
		t.Fatal(err)
	}
	server.Seal(t)
	passed.Add(int64(time.Hour - time.Second))
	if err := seal(); err != nil {
		t.Errorf("before MaxAge: %v", err)
	}
	passed.Add(int64(time.Second))
	if err := seal(); !errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("at MaxAge: %v", err)
	}
	server.Unseal(t)
	eventually(t, "seals again", func() bool { return seal() == nil })
}

// oneKeyStore holds the one version that it was given.
type oneKeyStore struct {
	keyring.Store
	version atomic.Pointer[keyring.Version]
}

func (s *oneKeyStore) ActiveKey(context.Context, keyring.Scope) (keyring.Version, error) {
	if v := s.version.Load(); v != nil {
		return *v, nil
	}
	return keyring.Version{}, keyring.ErrNoKey
}

func (s *oneKeyStore) Key(ctx context.Context, _ string, _ keyring.ID) (keyring.Version, error) {
	return s.ActiveKey(ctx, keyring.Scope{})
}

func (s *oneKeyStore) AddKey(_ context.Context, v keyring.Version, _ keyring.ID) error {
	s.version.Store(&v)
	return nil
}

func (s *oneKeyStore) ReserveUses(context.Context, string, keyring.ID, int64, int64) error {
	return nil
}
