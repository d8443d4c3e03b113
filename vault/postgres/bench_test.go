package postgres_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/vaulttest/pgtest"
)

func BenchmarkCardsByToken(b *testing.B) {
	store := open(b, migrated(b, pgtest.DSN(b)))
	load(b, store, 100_000)
	var tokens []tokenizer.ID
	for after := uuid.Nil; len(tokens) < 100_000; {
		cards, err := store.ListCards(b.Context(), "acme", after, 10_000)
		if err != nil {
			b.Fatal(err)
		}
		for i := range cards {
			tokens = append(tokens, cards[i].StandingToken)
		}
		after = cards[len(cards)-1].ID
	}
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ids := make([]tokenizer.ID, n)
			at := 0
			for b.Loop() {
				for i := range ids {
					at = (at + 7919) % len(tokens)
					ids[i] = tokens[at]
				}
				rows, err := store.CardsByToken(b.Context(), "acme", ids)
				if err != nil || len(rows) != n {
					b.Fatal(len(rows), err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/row")
		})
	}
}

func BenchmarkInsertCards(b *testing.B) {
	store := open(b, migrated(b, pgtest.DSN(b)))
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWriter(store)
			for b.Loop() {
				cards := make([]vault.CardRow, n)
				for i := range cards {
					cards[i] = newCard()
				}
				chain, record := w.next()
				if err := store.Commit(b.Context(), func(ctx context.Context, tx vault.Tx) ([]audit.Record, error) {
					_, err := tx.InsertCards(ctx, "acme", cards)
					return []audit.Record{record}, err
				}); err != nil {
					b.Fatal(err)
				}
				w.chain = chain
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/row")
		})
	}
}

func BenchmarkCommitEntries(b *testing.B) {
	store := open(b, migrated(b, pgtest.DSN(b)))
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWriter(store)
			for b.Loop() {
				records := make([]audit.Record, n)
				for i := range records {
					w.chain, records[i] = w.next()
				}
				if err := store.Commit(b.Context(), func(context.Context, vault.Tx) ([]audit.Record, error) {
					return records, nil
				}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/row")
		})
	}
}
