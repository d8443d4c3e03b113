package vaulttest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
)

func commitCases() []contractCase {
	return []contractCase{
		{"is durable with its records", commitIsWhole},
		{"writes nothing without records", commitNeedsRecords},
		{"writes nothing where fn fails", commitOfFailure},
		{"writes nothing where fn panics", commitOfPanic},
		{"writes nothing once the context is done", commitTooLate},
		{"writes nothing where the chain has the number", commitOfTakenNumber},
		{"shows nothing before it returns", commitIsHidden},
		{"keeps everything for the next who opens the database", commitOutlivesTheStore},
		{"runs beside other replicas' commits", commitsTogether},
		{"keeps tenants apart that come at once", commitsOfNewTenants},
	}
}

var errOfFn = errors.New("fn says no")

// everything writes a row of every kind.
type everything struct {
	card    vault.CardRow
	token   vault.TokenRow
	request vault.RequestRow
	key     vault.KeyRow
	bin     vault.BINRangeRow
}

func newEverything() *everything {
	e := &everything{card: newCard(), bin: newRange("everything", "900000"), key: newKey("data", "")}
	e.token = newToken(e.card)
	e.request = vault.RequestRow{ID: uuid.New(), Digest: uuid.New(), Card: e.card.ID, Token: e.token.Token, Created: start()}
	return e
}

func (e *everything) write(ctx context.Context, tx vault.Tx) error {
	_, requests := tx.ClaimRequests(ctx, tenant, []vault.RequestRow{e.request})
	_, cards := tx.InsertCards(ctx, tenant, []vault.CardRow{e.card})
	_, tokens := tx.InsertTokens(ctx, tenant, []vault.TokenRow{e.token})
	_, ranges := tx.InsertBINRange(ctx, tenant, e.bin)
	_, keys := tx.InsertKey(ctx, e.key, uuid.Nil)
	return errors.Join(requests, cards, tokens, ranges, keys)
}

// count returns how many of the rows are there, and fails the test unless it is
// all or none.
func (e *everything) count(ctx context.Context, t testing.TB, store vault.Store) int {
	t.Helper()
	there := 0
	for _, err := range []error{
		second(store.Card(ctx, tenant, e.card.ID)),
		second(store.BINRange(ctx, tenant, e.bin.Name)),
		second(store.Key(ctx, tenant, e.key.ID)),
	} {
		switch {
		case err == nil:
			there++
		case !errors.Is(err, vault.ErrNoRow):
			t.Fatal(err)
		}
	}
	there += len(must(store.Requests(ctx, tenant, []uuid.UUID{e.request.ID}))(t))
	there += len(must(store.CardsByToken(ctx, tenant, []tokenizer.ID{e.token.Token}))(t))
	if there != 0 && there != 5 {
		t.Errorf("%d of 5 rows of one commit are there", there)
	}
	return there
}

func second[T any](_ T, err error) error { return err }

func commitIsWhole(t *contract) {
	r, e := newReplica(t, t.open()), newEverything()
	r.commit(e.write)
	if e.count(t.Context(), t, t.open()) != 5 {
		t.Error("a committed row is missing on another replica")
	}
	head := must(r.Head(t.Context(), r.id))(t)
	if head.Number != 0 {
		t.Errorf("head = %d, want 0", head.Number)
	}
}

func commitNeedsRecords(t *contract) {
	r, e := newReplica(t, t.open()), newEverything()
	err := r.Commit(t.Context(), func(ctx context.Context, tx vault.Tx) ([]audit.Record, error) {
		return nil, e.write(ctx, tx)
	})
	is(t, "commit without records", err, vault.ErrNoRecords)
	err = r.Commit(t.Context(), func(context.Context, vault.Tx) ([]audit.Record, error) { return nil, nil })
	is(t, "commit of nothing", err, vault.ErrNoRecords)
	nothing(t, r, e)
}

// nothing fails the test if any row, or any entry of the replica, is there, and
// proves that the store still works.
func nothing(t testing.TB, r *replica, e *everything) {
	t.Helper()
	if e.count(t.Context(), t, r) != 0 {
		t.Error("a failed commit left rows")
	}
	_, err := r.Head(t.Context(), r.id)
	is(t, "head of an empty chain", err, vault.ErrNoRow)
	r.commit(e.write)
	if e.count(t.Context(), t, r) != 5 {
		t.Error("what was rolled back cannot be written again")
	}
}

func commitOfFailure(t *contract) {
	r, e := newReplica(t, t.open()), newEverything()
	err := r.try(func(ctx context.Context, tx vault.Tx) error {
		if err := e.write(ctx, tx); err != nil {
			return err
		}
		return errOfFn
	})
	if err != errOfFn { //nolint:errorlint // "An error of fn is returned as it is."
		t.Errorf("error %v, want that of fn", err)
	}
	is(t, "commit that fails before it writes", r.try(func(context.Context, vault.Tx) error { return errOfFn }), errOfFn)
	nothing(t, r, e)
}

func commitOfPanic(t *contract) {
	r, e := newReplica(t, t.open()), newEverything()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = r.try(func(ctx context.Context, tx vault.Tx) error {
			if err := e.write(ctx, tx); err != nil {
				t.Error(err)
			}
			return []error{nil}[len(e.card.Sealed)] // out of range
		})
	}()
	nothing(t, r, e)
}

func commitTooLate(t *contract) {
	r, e := newReplica(t, t.open()), newEverything()
	for _, when := range []string{"before", "within"} {
		ctx, cancel := context.WithCancel(t.Context())
		if when == "before" {
			cancel()
		}
		_, record := r.chain.Append(audit.Entry{Tenant: tenant}, r.now)
		err := r.Commit(ctx, func(ctx context.Context, tx vault.Tx) ([]audit.Record, error) {
			cancel()
			return []audit.Record{record}, e.write(ctx, tx)
		})
		is(t, "commit with a context done "+when, err, context.Canceled)
		cancel()
	}
	nothing(t, r, e)
}

func commitOfTakenNumber(t *contract) {
	r, e := newReplica(t, t.open()), newEverything()
	first := r.chain
	r.commit(func(context.Context, vault.Tx) error { return nil })
	r.chain = first
	is(t, "commit of number 0 again", r.try(e.write), vault.ErrTaken)
	is(t, "commit of number 0 alone again", r.try(func(context.Context, vault.Tx) error { return nil }), vault.ErrTaken)
	if e.count(t.Context(), t, r) != 0 {
		t.Error("a commit with a taken number left rows")
	}
	head := must(r.Head(t.Context(), r.id))(t)
	same(t, "chain after the collision", head.Number, 0)
}

func commitIsHidden(t *contract) {
	r, other, e := newReplica(t, t.open()), t.open(), newEverything()
	r.commit(func(ctx context.Context, tx vault.Tx) error {
		err := e.write(ctx, tx)
		if e.count(ctx, t, other) != 0 {
			t.Error("rows show before their commit")
		}
		return err
	})
}

func commitOutlivesTheStore(t *contract) {
	store := t.open()
	r, e := newReplica(t, store), newEverything()
	r.commit(e.write)
	last := must(store.Head(t.Context(), r.id))(t)
	if err := store.(interface{ Close() error }).Close(); err != nil {
		t.Fatal(err)
	}
	again := t.open()
	if e.count(t.Context(), t, again) != 5 {
		t.Error("rows are gone once the store is closed")
	}
	same(t, "head", must(again.Head(t.Context(), r.id))(t), last)
}

func commitsTogether(t *contract) {
	const replicas, commits = 4, 25
	ends := make([]*replica, replicas)
	for i := range ends {
		ends[i] = newReplica(t, t.open())
	}
	together(replicas, func(i int) {
		for range commits {
			card := newCard()
			if err := ends[i].try(func(ctx context.Context, tx vault.Tx) error {
				_, err := tx.InsertCards(ctx, tenant, []vault.CardRow{card})
				return err
			}); err != nil {
				t.Errorf("replica %d: %v", i, err)
			}
		}
	})
	store := t.open()
	for _, r := range ends {
		same(t, "head", must(store.Head(t.Context(), r.id))(t).Number, commits-1)
	}
	cards := must(store.ListCards(t.Context(), tenant, uuid.Nil, 1000))(t)
	same(t, "cards", len(cards), replicas*commits)
}

// Replicas write for tenants that are new to all of them, some for the same ones.
func commitsOfNewTenants(t *contract) {
	const replicas, rounds = 4, 5
	for round := range rounds {
		ends := make([]*replica, replicas)
		cards := make([]vault.CardRow, replicas)
		names := make([]string, replicas)
		for i := range ends {
			ends[i], cards[i] = newReplica(t, t.open()), newCard()
			names[i] = fmt.Sprintf("tenant-%d-%d", round, i/2)
		}
		together(replicas, func(i int) {
			if err := ends[i].try(func(ctx context.Context, tx vault.Tx) error {
				_, err := tx.InsertCards(ctx, names[i], cards[i:i+1])
				return err
			}); err != nil {
				t.Error(err)
			}
		})
		store := t.open()
		for i := range ends {
			same(t, "card", must(store.Card(t.Context(), names[i], cards[i].ID))(t), cards[i])
			_, err := store.Card(t.Context(), names[(i+2)%replicas], cards[i].ID)
			is(t, "card of another new tenant", err, vault.ErrNoRow)
		}
	}
}
