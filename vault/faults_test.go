package vault_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/crypto/secret"
	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
)

var errDead = errors.New("the replica is dead")

// mortalStore is a store whose replica dies in its n-th commit: by turns before
// the store has it and after.
type mortalStore struct {
	vault.Store

	mu      sync.Mutex
	commits int
	dead    bool
}

type commitFunc = func(ctx context.Context, tx vault.Tx) ([]audit.Record, error)

func (s *mortalStore) Commit(ctx context.Context, fn commitFunc) error {
	s.mu.Lock()
	s.commits--
	dies, landed := s.commits == 0, s.commits%2 == 0
	dead := s.dead
	s.dead = s.dead || dies
	s.mu.Unlock()
	switch {
	case dead, dies && !landed:
		return errDead
	case dies:
		return errors.Join(s.Store.Commit(ctx, fn), errDead)
	default:
		return s.Store.Commit(ctx, fn)
	}
}

func (s *mortalStore) Head(ctx context.Context, replica uuid.UUID) (audit.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return audit.Record{}, errDead
	}
	return s.Store.Head(ctx, replica)
}

// faultyStore fails one commit in one way.
type faultyStore struct {
	vault.Store

	mu    sync.Mutex
	fault func(ctx context.Context, store vault.Store, fn commitFunc) error
}

func (s *faultyStore) inject(fault func(ctx context.Context, store vault.Store, fn commitFunc) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

func (s *faultyStore) Commit(ctx context.Context, fn commitFunc) error {
	s.mu.Lock()
	fault := s.fault
	s.fault = nil
	s.mu.Unlock()
	if fault == nil {
		return s.Store.Commit(ctx, fn)
	}
	return fault(ctx, s.Store, fn)
}

// TestCommitFaults injects a fault at each point of a commit, retries as a client
// does, and expects one card, one number used and an unbroken chain.
func TestCommitFaults(t *testing.T) {
	faults := []struct {
		name  string
		fault func(ctx context.Context, store vault.Store, fn commitFunc) error
		// answered: the caller of the faulty commit gets its card all the same.
		answered bool
	}{
		{"before the store hears of it", func(context.Context, vault.Store, commitFunc) error {
			return errors.New("connection refused")
		}, false},
		{"rolled back at the end", func(ctx context.Context, store vault.Store, fn commitFunc) error {
			return store.Commit(ctx, func(ctx context.Context, tx vault.Tx) ([]audit.Record, error) {
				if _, err := fn(ctx, tx); err != nil {
					return nil, err
				}
				return nil, errors.New("the disk is full")
			})
		}, false},
		{"repeated by the store", func(ctx context.Context, store vault.Store, fn commitFunc) error {
			err := store.Commit(ctx, func(ctx context.Context, tx vault.Tx) ([]audit.Record, error) {
				if _, err := fn(ctx, tx); err != nil {
					return nil, err
				}
				return nil, errors.New("serialization failure")
			})
			if err == nil {
				return errors.New("a failed run was committed")
			}
			return store.Commit(ctx, fn)
		}, true},
		{"committed, and the word of it lost", func(ctx context.Context, store vault.Store, fn commitFunc) error {
			return errors.Join(store.Commit(ctx, fn), vault.ErrUnknownOutcome)
		}, true},
		{"not committed, and nobody knows", func(context.Context, vault.Store, commitFunc) error {
			return vault.ErrUnknownOutcome
		}, false},
		{"committed, and taken for failed", func(ctx context.Context, store vault.Store, fn commitFunc) error {
			return errors.Join(store.Commit(ctx, fn), errors.New("no idea"))
		}, false},
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			s := newSite(t)
			store := &faultyStore{Store: s.store}
			v := s.replica(t, store)
			createRange(t, v, spec("demo", "99990000001"))
			issue(t, v, 1)

			req := []vault.IssueRequest{{RequestID: newRequestID(), BINRange: "demo"}}
			store.inject(f.fault)
			first, err := v.IssueCards(t.Context(), caller("issuer"), req)
			if answered := err == nil; answered != f.answered {
				t.Fatalf("answered %v, want %v: %v", answered, f.answered, err)
			}
			if err != nil && !errors.Is(err, vault.ErrStoreUnavailable) {
				t.Errorf("error %v", err)
			}
			again, err := v.IssueCards(t.Context(), caller("issuer"), req)
			if err != nil || again[0].Err != nil {
				t.Fatal(err)
			}
			if f.answered && again[0].Card != first[0].Card {
				t.Error("the retry gave another card")
			}
			issue(t, v, 1)
			if got := demoRange(t, v); got.Issued != 3 || got.Live != 3 {
				t.Errorf("%d numbers used, %d live, want 3", got.Issued, got.Live)
			}
			checkChains(t, v)
		})
	}
}

// checkChains reads the whole audit log of the demo tenant, checks that the numbers
// of each replica have no gap, and returns the entries.
func checkChains(t *testing.T, v *vault.Vault) []audit.Entry {
	t.Helper()
	var entries []audit.Entry
	byReplica := map[[16]byte][]audit.Record{}
	for next := ""; ; {
		records, following, _, err := v.ListEntries(t.Context(), caller("auditor"), vault.EntryQuery{PageSize: 1000, PageToken: next})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			entry, err := r.Entry()
			if err != nil {
				t.Fatal(err)
			}
			entries = append(entries, entry)
			byReplica[r.Replica] = append(byReplica[r.Replica], r)
		}
		if next = following; next == "" {
			break
		}
	}
	for replica, records := range byReplica {
		for i, r := range records[1:] {
			if r.Number != records[i].Number+1 {
				t.Errorf("replica %x: %d follows %d", replica, r.Number, records[i].Number)
			}
		}
	}
	return entries
}

// brokenReads is a store that answers no read of keys.
type brokenReads struct{ vault.Store }

func (brokenReads) ActiveKey(context.Context, string, string, string) (vault.KeyRow, error) {
	return vault.KeyRow{}, errors.New("connection refused")
}

// TestStoreOutageIsNoTampering: an outage while keys are read is answered as one,
// and raises no alarm about integrity.
func TestStoreOutageIsNoTampering(t *testing.T) {
	s := newSite(t)
	v := s.replica(t, brokenReads{s.store})
	results, err := v.TokenizeCards(t.Context(), caller("issuer"), []vault.TokenizeRequest{
		{PAN: secret.New([]byte(foreignPAN)), Expiry: expiry()},
	})
	if !errors.Is(err, vault.ErrStoreUnavailable) {
		t.Errorf("answer %v %v", err, results)
	}
	if strings.Contains(s.log.String(), "key refused") {
		t.Error("an outage was taken for tampering")
	}
}
