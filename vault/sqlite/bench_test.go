package sqlite_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/vault"
)

func BenchmarkInsertCards(b *testing.B) {
	w := newWriter(open(b, filepath.Join(b.TempDir(), "vault.db")))
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				cards := make([]vault.CardRow, n)
				for i := range cards {
					cards[i] = newCard()
				}
				w.must(b, w.insert(cards...))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/row")
		})
	}
}

func BenchmarkCardsByToken(b *testing.B) {
	store := open(b, filepath.Join(b.TempDir(), "vault.db"))
	w := newWriter(store)
	var tokens []tokenizer.ID
	for range 20 {
		cards := make([]vault.CardRow, 1000)
		for i := range cards {
			cards[i] = newCard()
			tokens = append(tokens, cards[i].StandingToken)
		}
		w.must(b, w.insert(cards...))
	}
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				rows, err := store.CardsByToken(b.Context(), "acme", tokens[:n])
				if err != nil || len(rows) != n {
					b.Fatal(len(rows), err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/row")
		})
	}
}
