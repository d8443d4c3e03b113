package vaulttest

import (
	"context"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/vault"
)

func cardCases() []contractCase {
	return []contractCase{
		{"come back as they were written", cardsRoundTrip},
		{"are each tenant's own", cardsOfTenants},
		{"are listed in order of id", cardsInPages},
		{"of a taken fingerprint are answered with the one that stands", cardsTaken},
		{"of one fingerprint in one call are one card", cardsTwiceInOneCall},
		{"of one fingerprint are one card, whoever comes", cardsTogether},
		{"refuse another's id or standing token", cardsWithTakenIDs},
		{"of none do nothing", cardsOfNone},
	}
}

func cardsRoundTrip(t *contract) {
	r := newReplica(t, t.open())
	bin := r.insertRange(tenant, newRange("issuing", "900001"))
	bare := newCard()
	bare.StandingToken, bare.StandingTag, bare.State = tokenizer.ID{}, 0, vault.CardSuspended
	want := []vault.CardRow{newCard(), issuedFrom(bin), bare}
	r.insert(tenant, want...)
	for _, store := range []vault.Store{r, t.open()} {
		for _, card := range want {
			same(t, "card", must(store.Card(t.Context(), tenant, card.ID))(t), card)
		}
	}
	_, err := r.Card(t.Context(), tenant, uuid.New())
	is(t, "unknown card", err, vault.ErrNoRow)
}

func cardsOfTenants(t *contract) {
	r := newReplica(t, t.open())
	mine := newCard()
	theirs := mine // the same id, fingerprint and token
	theirs.Sealed, theirs.LastFour = []byte("theirs"), 1234
	r.insert(tenant, mine)
	_, err := r.Card(t.Context(), foreign, mine.ID)
	is(t, "foreign card", err, vault.ErrNoRow)
	same(t, "foreign token", len(must(r.CardsByToken(t.Context(), foreign, []tokenizer.ID{mine.StandingToken}))(t)), 0)
	same(t, "foreign list", len(must(r.ListCards(t.Context(), foreign, uuid.Nil, 10))(t)), 0)
	same(t, "foreign token list", len(must(r.ListTokens(t.Context(), foreign, mine.ID))(t)), 0)

	r.insert(foreign, theirs)
	for name, want := range map[string]vault.CardRow{tenant: mine, foreign: theirs} {
		same(t, "card of "+name, r.card(name, want.ID), want)
		tokens := must(r.CardsByToken(t.Context(), name, []tokenizer.ID{want.StandingToken}))(t)
		if len(tokens) != 1 {
			t.Fatalf("%s sees %d cards of its token, want 1", name, len(tokens))
		}
		same(t, "card by token of "+name, tokens[0].Card, want)
		same(t, "cards of "+name, must(r.ListCards(t.Context(), name, uuid.Nil, 10))(t), []vault.CardRow{want})
	}
	r.changed(func(ctx context.Context, tx vault.Tx) (bool, error) { return tx.DeleteCard(ctx, foreign, theirs.ID) })
	same(t, "card after the other tenant deleted its own", r.card(tenant, mine.ID), mine)
}

func cardsInPages(t *contract) {
	r := newReplica(t, t.open())
	want := newCards(23)
	shuffled := slices.Clone(want)
	slices.SortFunc(shuffled, func(a, b vault.CardRow) int { return slices.Compare(a.Key[:], b.Key[:]) })
	r.insert(tenant, shuffled...)
	r.insert(foreign, newCards(5)...)
	if !r.changed(func(ctx context.Context, tx vault.Tx) (bool, error) { return tx.DeleteCard(ctx, tenant, want[11].ID) }) {
		t.Error("the card to delete is not there")
	}
	want = slices.Delete(want, 11, 12)
	for _, size := range []int{1, 4, 22, 100} {
		var got []vault.CardRow
		var after uuid.UUID
		// Card 0's id is above the zero id, because its last bytes are random.
		for {
			page := must(r.ListCards(t.Context(), tenant, after, size))(t)
			got = append(got, page...)
			if len(page) == 0 {
				break
			}
			after = page[len(page)-1].ID
		}
		same(t, "cards", got, want)
	}
}

func cardsTaken(t *contract) {
	r := newReplica(t, t.open())
	bin := r.insertRange(tenant, newRange("issuing", "900001"))
	live, dead := issuedFrom(bin), newCard()
	r.insert(tenant, live, dead)
	r.changed(func(ctx context.Context, tx vault.Tx) (bool, error) { return tx.DeleteCard(ctx, tenant, dead.ID) })
	dead = r.card(tenant, dead.ID)

	again, revived, fresh := newCard(), newCard(), newCard()
	again.Fingerprint, revived.Fingerprint = live.Fingerprint, dead.Fingerprint
	newReplica(t, t.open()).commit(func(ctx context.Context, tx vault.Tx) error {
		taken, err := tx.InsertCards(ctx, tenant, []vault.CardRow{again, fresh, revived})
		byID(taken)
		want := []vault.CardRow{live, dead}
		byID(want)
		same(t, "taken", taken, want)
		return err
	})
	same(t, "the card that stood", r.card(tenant, live.ID), live)
	same(t, "the card between", r.card(tenant, fresh.ID), fresh)
	_, err := r.Card(t.Context(), tenant, again.ID)
	is(t, "the card that was not added", err, vault.ErrNoRow)
}

func byID(cards []vault.CardRow) {
	slices.SortFunc(cards, func(a, b vault.CardRow) int { return slices.Compare(a.ID[:], b.ID[:]) })
}

func cardsTwiceInOneCall(t *contract) {
	r := newReplica(t, t.open())
	first, other := newCard(), newCard()
	rows := []vault.CardRow{other, first}
	for range 3 {
		again := newCard()
		again.Fingerprint = first.Fingerprint
		rows = append(rows, again)
	}
	r.commit(func(ctx context.Context, tx vault.Tx) error {
		taken, err := tx.InsertCards(ctx, tenant, rows)
		same(t, "taken", taken, []vault.CardRow{first})
		return err
	})
	cards := must(r.ListCards(t.Context(), tenant, uuid.Nil, 10))(t)
	byID(cards)
	want := []vault.CardRow{first, other}
	byID(want)
	same(t, "cards", cards, want)
}

// Replicas insert the same cards in different orders, again and again: a store
// that locks in the order of the call deadlocks here.
func cardsTogether(t *contract) {
	const replicas, rounds, cards = 4, 8, 40
	ends := make([]*replica, replicas)
	for i := range ends {
		ends[i] = newReplica(t, t.open())
	}
	for range rounds {
		fingerprints := newCards(cards)
		standing := make([]map[uuid.UUID]uuid.UUID, replicas)
		together(replicas, func(i int) { standing[i] = insertThem(t, ends[i], fingerprints, i) })
		for _, others := range standing[1:] {
			same(t, "cards that stand", others, standing[0])
		}
	}
}

// insertThem inserts new cards of the same fingerprints, in an order of the
// replica's own, and returns which card stands for each.
func insertThem(t testing.TB, r *replica, like []vault.CardRow, order int) map[uuid.UUID]uuid.UUID {
	t.Helper()
	var standing map[uuid.UUID]uuid.UUID
	rows := slices.Clone(like)
	if order%2 == 1 {
		slices.Reverse(rows)
	}
	for i := range rows {
		rows[i].ID, rows[i].StandingToken = uuid.New(), newID()
	}
	if err := r.try(func(ctx context.Context, tx vault.Tx) error {
		standing = map[uuid.UUID]uuid.UUID{}
		taken, err := tx.InsertCards(ctx, tenant, rows)
		for _, card := range append(slices.Clone(rows), taken...) {
			standing[card.Fingerprint] = card.ID
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	return standing
}

func cardsWithTakenIDs(t *contract) {
	r := newReplica(t, t.open())
	there := newCard()
	r.insert(tenant, there)
	for what, change := range map[string]func(c *vault.CardRow){
		"id":    func(c *vault.CardRow) { c.ID = there.ID },
		"token": func(c *vault.CardRow) { c.StandingToken = there.StandingToken },
	} {
		card := newCard()
		change(&card)
		err := r.try(func(ctx context.Context, tx vault.Tx) error {
			_, err := tx.InsertCards(ctx, tenant, []vault.CardRow{newCard(), card})
			return err
		})
		is(t, "card with another's "+what, err, vault.ErrTaken)
	}
	same(t, "cards", must(r.ListCards(t.Context(), tenant, uuid.Nil, 10))(t), []vault.CardRow{there})
}

func cardsOfNone(t *contract) {
	r := newReplica(t, t.open())
	r.insert(tenant)
	same(t, "tokens of none", len(must(r.CardsByToken(t.Context(), tenant, nil))(t)), 0)
}
