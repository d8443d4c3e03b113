package vaulttest

import (
	"context"
	"encoding/binary"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
)

// The tenants of the contract's rows.
const (
	tenant  = "acme"
	foreign = "globex"
)

// start is when the contract's first entry is written.
func start() time.Time { return time.Date(2020, time.March, 14, 15, 9, 26, 535897000, time.UTC) }

// replica writes to a store with a chain of its own, as a server does.
type replica struct {
	Store
	t     testing.TB
	id    uuid.UUID
	chain audit.Chain
	now   time.Time
	// sealed are the records that seal wrote.
	sealed []audit.Record
}

func newReplica(t testing.TB, store Store) *replica {
	t.Helper()
	id := uuid.New()
	return &replica{Store: store, t: t, id: id, chain: audit.NewChain(id), now: start()}
}

// try commits what write does with one audit entry. After a failure the chain is
// as it was.
func (r *replica) try(write func(ctx context.Context, tx vault.Tx) error) error {
	chain, record := r.chain.Append(audit.Entry{Tenant: tenant, Action: "Test"}, r.now)
	err := r.Commit(r.t.Context(), func(ctx context.Context, tx vault.Tx) ([]audit.Record, error) {
		return []audit.Record{record}, write(ctx, tx)
	})
	if err == nil {
		r.chain, r.now = chain, r.now.Add(time.Millisecond)
	}
	return err
}

// commit is try for what has to succeed.
func (r *replica) commit(write func(ctx context.Context, tx vault.Tx) error) {
	r.t.Helper()
	if err := r.try(write); err != nil {
		r.t.Fatalf("commit: %v", err)
	}
}

// insert adds cards that are new.
func (r *replica) insert(tenant string, cards ...vault.CardRow) {
	r.t.Helper()
	r.commit(func(ctx context.Context, tx vault.Tx) error {
		taken, err := tx.InsertCards(ctx, tenant, cards)
		if len(taken) > 0 {
			r.t.Errorf("%d new cards were taken", len(taken))
		}
		return err
	})
}

// insertTokens adds tokens that are free.
func (r *replica) insertTokens(tokens ...vault.TokenRow) {
	r.t.Helper()
	r.commit(func(ctx context.Context, tx vault.Tx) error {
		taken, err := tx.InsertTokens(ctx, tenant, tokens)
		if len(taken) > 0 {
			r.t.Errorf("%d new tokens were taken", len(taken))
		}
		return err
	})
}

// insertRange adds a range and returns it as it is stored.
func (r *replica) insertRange(tenant string, row vault.BINRangeRow) vault.BINRangeRow {
	r.t.Helper()
	r.commit(func(ctx context.Context, tx vault.Tx) (err error) {
		row.Number, err = tx.InsertBINRange(ctx, tenant, row)
		return err
	})
	return row
}

// changed commits a write that reports whether it did anything, and returns that.
func (r *replica) changed(write func(ctx context.Context, tx vault.Tx) (bool, error)) bool {
	r.t.Helper()
	var did bool
	r.commit(func(ctx context.Context, tx vault.Tx) (err error) {
		did, err = write(ctx, tx)
		return err
	})
	return did
}

// card returns a card that has to be there.
func (r *replica) card(tenant string, id uuid.UUID) vault.CardRow {
	r.t.Helper()
	return must(r.Card(r.t.Context(), tenant, id))(r.t)
}

// gone returns a range's count of numbers that are no live card.
func (r *replica) gone(tenant, name string) int64 {
	r.t.Helper()
	return must(r.BINRange(r.t.Context(), tenant, name))(r.t).Gone
}

// must(f())(t) is what f returns, without an error.
func must[T any](value T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// same compares rows by all their fields.
func same[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if diff := differ(got, want); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// differ returns how got is not want; empty: it is. Nil and empty are the same.
func differ[T any](got, want T) string {
	if reflect.DeepEqual(got, want) {
		return "" // cmp takes a hundred times as long to say so
	}
	return cmp.Diff(want, got, cmpopts.EquateEmpty())
}

// is fails the test unless err is target.
func is(t testing.TB, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: error %v, want %v", what, err, target)
	}
}

// newCard returns a tokenized card with a standing token, all its ids random.
func newCard() vault.CardRow {
	return vault.CardRow{
		ID: uuid.New(), Fingerprint: uuid.New(), Key: uuid.New(), Sealed: []byte("sealed " + uuid.NewString()),
		StandingToken: newID(), StandingTag: -42, State: vault.CardActive, Origin: vault.Tokenized, Expiry: 345, LastFour: 7,
		Created: start(),
	}
}

// issuedFrom returns a card of a range.
func issuedFrom(r vault.BINRangeRow) vault.CardRow {
	card := newCard()
	card.Origin, card.RangeNumber, card.BINRange = vault.Issued, r.Number, r.Name
	return card
}

// newCards returns n cards that are numbered in their ids, in order.
func newCards(n int) []vault.CardRow {
	cards := make([]vault.CardRow, n)
	for i := range cards {
		cards[i] = newCard()
		binary.BigEndian.PutUint32(cards[i].ID[:], uint32(i))
	}
	return cards
}

// newToken returns a plain extra token of a card.
func newToken(card vault.CardRow) vault.TokenRow {
	return vault.TokenRow{Token: newID(), Tag: 1 << 62, Card: card, Created: start()}
}

func newID() tokenizer.ID { return tokenizer.ID(uuid.New()) }

// newRange returns a range of a million numbers.
func newRange(name, prefix string) vault.BINRangeRow {
	return vault.BINRangeRow{
		Name: name, Key: uuid.New(), Prefix: prefix, Length: int16(len(prefix)) + 7, First: 0, Last: 999_999,
		ValidityMonths: 36, State: vault.RangeActive, Tag: 0x5eed, Created: start(),
	}
}

// together runs n functions at once and waits for all.
func together(n int, run func(i int)) {
	begin := make(chan struct{})
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			<-begin
			run(i)
		})
	}
	close(begin)
	group.Wait()
}
