package vault_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault"
)

// slowStore commits when it is told to.
type slowStore struct {
	vault.Store

	mu      sync.Mutex
	entered chan struct{}
	leave   chan struct{}
}

// hold makes the next commit close entered and wait until leave is closed.
func (s *slowStore) hold() (entered <-chan struct{}, leave chan<- struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entered, s.leave = make(chan struct{}), make(chan struct{})
	return s.entered, s.leave
}

func (s *slowStore) Commit(ctx context.Context, fn commitFunc) error {
	s.mu.Lock()
	entered, leave := s.entered, s.leave
	s.entered, s.leave = nil, nil
	s.mu.Unlock()
	if leave != nil {
		close(entered)
		<-leave
	}
	return s.Store.Commit(ctx, fn)
}

// TestChainEndsWithTheStop: what was asked for before Close is recorded before the
// end of the chain, and what comes after it not at all.
func TestChainEndsWithTheStop(t *testing.T) {
	for range 10 {
		s := newSite(t)
		store := &slowStore{Store: s.store}
		v := s.replica(t, store)
		createRange(t, v, spec("demo", "99990000001"))
		issue(t, v, 1) // now there are keys
		entered, leave := store.hold()
		var calls sync.WaitGroup
		var done sync.Map
		call := func() {
			results, err := v.IssueCards(context.Background(), caller("issuer"), requests(1))
			if err == nil {
				done.Store(results[0].Receipt, results[0].Card.ID)
			} else if !errors.Is(err, vault.ErrStoreUnavailable) && !errors.Is(err, vault.ErrKeysUnavailable) {
				t.Error(err)
			}
		}
		calls.Go(call)
		<-entered
		for range 8 {
			calls.Go(call)
		}
		closed := make(chan error)
		go func() { closed <- v.Close(context.Background()) }()
		for range 8 {
			calls.Go(call)
		}
		close(leave)
		if err := <-closed; err != nil {
			t.Error(err)
		}
		calls.Wait()

		var replica uuid.UUID
		done.Range(func(receipt, _ any) bool { replica = receipt.(vault.Receipt).Replica; return false })
		if replica == uuid.Nil {
			t.Fatal("no call was answered")
		}
		checkEnd(t, s.store, replica, &done)
	}
}

// checkEnd expects StopReplica at the end of a replica's chain.
func checkEnd(t *testing.T, store vault.Store, replica uuid.UUID, done *sync.Map) {
	t.Helper()
	head, err := store.Head(t.Context(), replica)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := head.Entry()
	if err != nil || entry.Action != "StopReplica" {
		t.Errorf("the chain ends with %s, %v", entry.Action, err)
	}
	done.Range(func(receipt, _ any) bool {
		if receipt.(vault.Receipt).Number >= entry.Number {
			t.Error("an answer after the end of the chain")
		}
		return true
	})
}
