package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/postgres"
	"github.com/cardvault/cardvault/vault/vaulttest/pgtest"
)

// writer commits to a store with a chain of its own.
type writer struct {
	store vault.Store
	id    uuid.UUID
	chain audit.Chain
}

func newWriter(store vault.Store) *writer {
	id := uuid.New()
	return &writer{store: store, id: id, chain: audit.NewChain(id)}
}

// next returns the record that the next commit adds, and the chain after it.
func (w *writer) next() (audit.Chain, audit.Record) {
	return w.chain.Append(audit.Entry{Tenant: "acme", Action: "Test"}, epoch())
}

// commit writes a card with one record, or the record alone where card is nil.
// last runs when all is written but the end of the transaction.
func (w *writer) commit(ctx context.Context, card *vault.CardRow, last func()) error {
	chain, record := w.next()
	err := w.store.Commit(ctx, func(ctx context.Context, tx vault.Tx) ([]audit.Record, error) {
		if card != nil {
			if _, err := tx.InsertCards(ctx, "acme", []vault.CardRow{*card}); err != nil {
				return nil, err
			}
		}
		last()
		return []audit.Record{record}, nil
	})
	if err == nil {
		w.chain = chain
	}
	return err
}

// The connection is cut at every few bytes of the end of a transaction, and of the
// answer to it. Whatever the store then says has to be true.
func TestConnectionCutWhileCommitting(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		withCard bool
		cutAt    func(n int) cut
		landed   bool // what has to happen at least once; the other has to happen without
	}{
		"request of a change": {true, func(n int) cut { return cut{request: n, answer: -1} }, false},
		"answer to a change":  {true, func(n int) cut { return cut{request: -1, answer: n} }, true},
		"request of entries":  {false, func(n int) cut { return cut{request: n, answer: -1} }, false},
		"answer to entries":   {false, func(n int) cut { return cut{request: -1, answer: n} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := migrated(t, pgtest.DSN(t))
			f := &faults{direct: open(t, dsn), proxy: newProxy(t, dsn)}
			f.store = openWith(t, postgres.Config{ConnString: f.proxy.dsn, MaxConns: 1})
			seen := map[bool]int{}
			for n := 0; ; n += 7 {
				landed, whole := f.commitCutAt(t, c.cutAt(n), c.withCard)
				if whole {
					break
				}
				seen[landed]++
			}
			if seen[c.landed] == 0 {
				t.Errorf("outcomes by landed: %v, want some that are %v", seen, c.landed)
			}
			t.Logf("landed: %d, did not: %d", seen[true], seen[false])
		})
	}
}

// faults is a store behind a proxy, and another beside it.
type faults struct {
	store, direct vault.Store
	proxy         *proxy
}

// commitCutAt commits over a connection that is cut on the way. It returns whether
// the commit landed all the same, and whether it went through before the cut.
func (f *faults) commitCutAt(t *testing.T, at cut, withCard bool) (landed, whole bool) {
	t.Helper()
	w := newWriter(f.store)
	if err := w.commit(t.Context(), new(newCard()), func() {}); err != nil {
		t.Fatalf("commit that warms the connection: %v", err)
	}
	card := newCard()
	change := &card
	if !withCard {
		change = nil
	}
	err := w.commit(t.Context(), change, func() { f.proxy.cutAt(at) })
	f.proxy.heal()
	if err == nil {
		return true, true
	}
	if !errors.Is(err, vault.ErrUnknownOutcome) {
		t.Fatalf("cut at %+v: error %v, want ErrUnknownOutcome", at, err)
	}
	return f.settle(t, w, card, withCard), false
}

// settle finds out as a server does: by the head of the chain and, since a commit
// may still be on its way, by writing the same number again.
func (f *faults) settle(t *testing.T, w *writer, card vault.CardRow, withCard bool) (landed bool) {
	t.Helper()
	w.store = f.direct
	before := w.chain
	switch err := w.commit(t.Context(), nil, func() {}); {
	case err == nil:
		w.chain = before
	case errors.Is(err, vault.ErrTaken):
		landed = true
	default:
		t.Fatal(err)
	}
	_, err := f.direct.Card(t.Context(), "acme", card.ID)
	if withCard && (err == nil) != landed {
		t.Fatalf("landed: %v, but the card: %v", landed, err)
	}
	head, err := f.direct.Head(t.Context(), w.id)
	if err != nil || head.Number != 1 {
		t.Fatalf("head %d, error %v, want 1", head.Number, err)
	}
	return landed
}

// Before the end of a transaction a lost connection is no loss: it runs again.
func TestConnectionLostBeforeCommittingIsRepeated(t *testing.T) {
	t.Parallel()
	dsn := migrated(t, pgtest.DSN(t))
	p := newProxy(t, dsn)
	store := openWith(t, postgres.Config{ConnString: p.dsn, MaxConns: 1})
	first, second := newCard(), newCard()
	runs := 0
	err := try(t, store, func(ctx context.Context, tx vault.Tx) error {
		runs++
		if _, err := tx.InsertCards(ctx, "acme", []vault.CardRow{first}); err != nil {
			return err
		}
		if runs == 1 {
			p.closeAll()
		}
		_, err := tx.InsertCards(ctx, "acme", []vault.CardRow{second})
		return err
	})
	if err != nil || runs != 2 {
		t.Fatalf("%d runs, error %v, want 2 and none", runs, err)
	}
	cards, err := store.ListCards(t.Context(), "acme", uuid.Nil, 10)
	if err != nil || len(cards) != 2 {
		t.Errorf("%d cards, error %v, want 2", len(cards), err)
	}
	p.closeAll()
	if _, err := store.Card(t.Context(), "acme", first.ID); err != nil {
		t.Errorf("read after the connection was lost: %v", err)
	}
}

// Two transactions want each other's cards. The server ends one of them, and the
// store runs it again.
func TestDeadlockIsRepeated(t *testing.T) {
	t.Parallel()
	dsn := migrated(t, pgtest.DSN(t)) + "&deadlock_timeout=10ms"
	store := open(t, dsn)
	cards := []vault.CardRow{newCard(), newCard()}
	if err := try(t, store, func(ctx context.Context, tx vault.Tx) error {
		_, err := tx.InsertCards(ctx, "acme", cards)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	runs := [2]int{}
	ready := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
	errs := make(chan error, 2)
	for i := range 2 {
		go func() {
			errs <- try(t, store, func(ctx context.Context, tx vault.Tx) error {
				runs[i]++
				mine, other := cards[i], cards[1-i]
				if _, err := tx.DeleteCard(ctx, "acme", mine.ID); err != nil {
					return err
				}
				if runs[i] == 1 {
					close(ready[i])
					<-ready[1-i] // both hold one now
				}
				_, err := tx.DeleteCard(ctx, "acme", other.ID)
				return err
			})
		}()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if runs[0]+runs[1] < 3 {
		t.Errorf("runs %v, want one to run again", runs)
	}
	left, err := store.ListCards(t.Context(), "acme", uuid.Nil, 10)
	if err != nil || len(left) != 0 {
		t.Errorf("%d cards left, error %v", len(left), err)
	}
}

// A transaction that fails each time ends with the reason, not never.
func TestRepetitionEnds(t *testing.T) {
	t.Parallel()
	store := open(t, migrated(t, pgtest.DSN(t)))
	runs := 0
	serialization := &postgres.ServerError{Code: "40001"}
	err := try(t, store, func(context.Context, vault.Tx) error {
		runs++
		return serialization
	})
	if !errors.Is(err, serialization) || runs < 2 || runs > 50 {
		t.Errorf("%d runs, error %v, want a few and the reason", runs, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	runs = 0
	_, record := newWriter(store).next()
	err = store.Commit(ctx, func(context.Context, vault.Tx) ([]audit.Record, error) {
		runs++
		cancel()
		return []audit.Record{record}, serialization
	})
	if !errors.Is(err, serialization) || runs != 1 {
		t.Errorf("%d runs once the context is done, error %v, want 1 and the reason", runs, err)
	}
}
