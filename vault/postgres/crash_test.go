package postgres_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/vaulttest/pgtest"
)

// The server is killed while replicas commit, again and again. What was
// acknowledged is there; of the rest, a card is there with its entry or not at all.
func TestServerKilledWhileCommitting(t *testing.T) {
	t.Parallel()
	const rounds, replicas, before = 3, 3, 60
	cluster := pgtest.Start(t)
	dsn := migrated(t, cluster.DSN(t))
	for range rounds {
		acknowledged := make(chan struct{}, 1<<16)
		var writers [replicas]crashWriter
		var group sync.WaitGroup
		for i := range writers {
			writers[i].writer = newWriter(open(t, dsn))
			group.Go(func() { writers[i].run(t.Context(), acknowledged) })
		}
		for range before {
			<-acknowledged
		}
		cluster.Kill(t)
		group.Wait()
		cluster.Restart(t)
		store := open(t, dsn)
		for i := range writers {
			writers[i].check(t, store)
		}
	}
}

// crashWriter commits cards until the server is gone.
type crashWriter struct {
	*writer
	acknowledged []uuid.UUID
	doubtful     uuid.UUID
}

func (w *crashWriter) run(ctx context.Context, acknowledged chan<- struct{}) {
	for {
		card := newCard()
		if err := w.commit(ctx, &card, func() {}); err != nil {
			w.doubtful = card.ID
			return
		}
		w.acknowledged = append(w.acknowledged, card.ID)
		acknowledged <- struct{}{}
	}
}

func (w *crashWriter) check(t *testing.T, store vault.Store) {
	t.Helper()
	for _, id := range w.acknowledged {
		if _, err := store.Card(t.Context(), "acme", id); err != nil {
			t.Errorf("acknowledged card: %v", err)
		}
	}
	entries := int64(0)
	if head, err := store.Head(t.Context(), w.id); err == nil {
		entries = head.Number + 1
	}
	cards := int64(len(w.acknowledged))
	if _, err := store.Card(t.Context(), "acme", w.doubtful); err == nil {
		cards++
	}
	if entries != cards {
		t.Errorf("%d entries of %d cards", entries, cards)
	}
}
