package vaulttest

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/vault"
)

func tokenCases() []contractCase {
	return []contractCase{
		{"come back with their cards", tokensRoundTrip},
		{"are each tenant's own", tokensOfTenants},
		{"are listed, the standing one first", tokensInOrder},
		{"that are plain are found by card", tokensPlain},
		{"that are taken are named", tokensTaken},
		{"of single use are used once", tokensUsedOnce},
		{"of single use are used once, whoever comes", tokensUsedTogether},
		{"end when they are deleted", tokensDeleted},
		{"never outlive their card", tokensAndDeletion},
	}
}

// options returns tokens of a card that have one option each, and one with all.
func options(card vault.CardRow) []vault.TokenRow {
	tokens := make([]vault.TokenRow, 6)
	for i := range tokens {
		tokens[i] = newToken(card)
		tokens[i].Created = start().Add(time.Duration(i) * time.Second)
	}
	tokens[1].KeepLastFour = true
	tokens[2].Expires = start().Add(time.Hour)
	tokens[3].SingleUse = true
	tokens[4].Principals = []string{"payments", "re\"funds, ünd so"}
	tokens[5].KeepLastFour, tokens[5].SingleUse = true, true
	tokens[5].Expires, tokens[5].Principals = start().Add(time.Minute), []string{"payments"}
	return tokens
}

func standing(card vault.CardRow) vault.TokenRow {
	return vault.TokenRow{
		Token: card.StandingToken, Tag: card.StandingTag, Card: card, Standing: true, Created: card.Created,
	}
}

func idsOf(tokens []vault.TokenRow) []tokenizer.ID {
	ids := make([]tokenizer.ID, len(tokens))
	for i := range tokens {
		ids[i] = tokens[i].Token
	}
	return ids
}

func byToken(tokens []vault.TokenRow) []vault.TokenRow {
	slices.SortFunc(tokens, func(a, b vault.TokenRow) int { return slices.Compare(a.Token[:], b.Token[:]) })
	return tokens
}

func tokensRoundTrip(t *contract) {
	r := newReplica(t, t.open())
	bin := r.insertRange(tenant, newRange("issuing", "900001"))
	card, other := issuedFrom(bin), newCard()
	r.insert(tenant, card, other)
	want := options(card)
	r.insertTokens(want...)
	want = append(want, standing(card), standing(other))
	ids := append(idsOf(want), newID(), want[0].Token) // one unknown, one twice
	got := must(t.open().CardsByToken(t.Context(), tenant, ids))(t)
	got = slices.CompactFunc(byToken(got), func(a, b vault.TokenRow) bool { return a.Token == b.Token })
	same(t, "tokens", got, byToken(want))
}

func tokensOfTenants(t *contract) {
	r := newReplica(t, t.open())
	card := newCard()
	r.insert(tenant, card)
	r.insert(foreign, newCard())
	once := newToken(card)
	once.SingleUse = true
	r.insertTokens(once)
	ids := []tokenizer.ID{card.StandingToken, once.Token}
	same(t, "foreign tokens", len(must(r.CardsByToken(t.Context(), foreign, ids))(t)), 0)
	same(t, "foreign list", len(must(r.ListTokens(t.Context(), foreign, card.ID))(t)), 0)
	r.commit(func(ctx context.Context, tx vault.Tx) error {
		used, err := tx.UseTokens(ctx, foreign, ids, start())
		same(t, "foreign tokens used", len(used), 0)
		return err
	})
	for _, id := range ids {
		if r.changed(func(ctx context.Context, tx vault.Tx) (bool, error) { return tx.DeleteToken(ctx, foreign, id) }) {
			t.Error("another tenant deleted the token")
		}
	}
	same(t, "tokens", byToken(must(r.CardsByToken(t.Context(), tenant, ids))(t)), byToken([]vault.TokenRow{standing(card), once}))
}

func tokensInOrder(t *contract) {
	r := newReplica(t, t.open())
	card, other := newCard(), newCard()
	card.Created = start().Add(24 * time.Hour) // standing first, though created last
	r.insert(tenant, card, other)
	want := options(card)
	shuffled := slices.Clone(want)
	slices.Reverse(shuffled)
	r.insertTokens(shuffled...)
	r.insertTokens(newToken(other))
	same(t, "tokens", must(r.ListTokens(t.Context(), tenant, card.ID))(t), append([]vault.TokenRow{standing(card)}, want...))
	same(t, "tokens of nothing", len(must(r.ListTokens(t.Context(), tenant, uuid.New()))(t)), 0)
}

func tokensPlain(t *contract) {
	r := newReplica(t, t.open())
	card, other, third := newCard(), newCard(), newCard()
	r.insert(tenant, card, other, third)
	tokens := append(options(card), newToken(other), newToken(third))
	r.insertTokens(tokens...)
	r.commit(func(ctx context.Context, tx vault.Tx) error {
		got, err := tx.PlainTokens(ctx, tenant, []uuid.UUID{card.ID, other.ID, uuid.New()})
		same(t, "plain tokens", byToken(got), byToken([]vault.TokenRow{tokens[0], tokens[1], tokens[6]}))
		none, noneErr := tx.PlainTokens(ctx, tenant, nil)
		same(t, "plain tokens of no cards", len(none), 0)
		if err == nil {
			err = noneErr
		}
		return err
	})
}

func tokensTaken(t *contract) {
	r := newReplica(t, t.open())
	card, other := newCard(), newCard()
	r.insert(tenant, card, other)
	there := newToken(card)
	r.insertTokens(there)
	fresh, again, likeStanding := newToken(other), newToken(other), newToken(other)
	again.Token, likeStanding.Token = there.Token, card.StandingToken
	r.commit(func(ctx context.Context, tx vault.Tx) error {
		taken, err := tx.InsertTokens(ctx, tenant, []vault.TokenRow{again, fresh, likeStanding})
		slices.SortFunc(taken, func(a, b tokenizer.ID) int { return slices.Compare(a[:], b[:]) })
		want := []tokenizer.ID{again.Token, likeStanding.Token}
		slices.SortFunc(want, func(a, b tokenizer.ID) int { return slices.Compare(a[:], b[:]) })
		same(t, "taken", taken, want)
		return err
	})
	ids := []tokenizer.ID{there.Token, fresh.Token, card.StandingToken}
	got := must(r.CardsByToken(t.Context(), tenant, ids))(t)
	same(t, "tokens", byToken(got), byToken([]vault.TokenRow{there, fresh, standing(card)}))
	r.insertTokens()
}

func tokensUsedOnce(t *contract) {
	r := newReplica(t, t.open())
	card := newCard()
	r.insert(tenant, card)
	tokens := options(card)
	r.insertTokens(tokens...)
	at := start().Add(time.Minute)
	ids := append(idsOf(tokens), newID(), card.StandingToken, tokens[3].Token)
	use := func(want ...vault.TokenRow) {
		t.Helper()
		r.commit(func(ctx context.Context, tx vault.Tx) error {
			used, err := tx.UseTokens(ctx, tenant, ids, at)
			slices.SortFunc(used, func(a, b tokenizer.ID) int { return slices.Compare(a[:], b[:]) })
			same(t, "used", used, idsOf(byToken(want)))
			return err
		})
	}
	use(tokens[3], tokens[5])
	at = at.Add(time.Minute)
	use()
	got := must(r.CardsByToken(t.Context(), tenant, []tokenizer.ID{tokens[3].Token}))(t)
	same(t, "used at", got[0].UsedAt, start().Add(time.Minute))
	r.commit(func(ctx context.Context, tx vault.Tx) error {
		_, err := tx.UseTokens(ctx, tenant, nil, at)
		return err
	})
}

func tokensUsedTogether(t *contract) {
	const replicas, tokens = 4, 30
	r := newReplica(t, t.open())
	card := newCard()
	r.insert(tenant, card)
	rows := make([]vault.TokenRow, tokens)
	for i := range rows {
		rows[i] = newToken(card)
		rows[i].SingleUse = true
	}
	r.insertTokens(rows...)
	ends := make([]*replica, replicas)
	for i := range ends {
		ends[i] = newReplica(t, t.open())
	}
	got := make([][]tokenizer.ID, replicas)
	together(replicas, func(i int) {
		ids := idsOf(rows)
		if i%2 == 1 {
			slices.Reverse(ids)
		}
		if err := ends[i].try(func(ctx context.Context, tx vault.Tx) (err error) {
			got[i], err = tx.UseTokens(ctx, tenant, ids, start())
			return err
		}); err != nil {
			t.Error(err)
		}
	})
	all := slices.Concat(got...)
	same(t, "uses", len(all), tokens)
	slices.SortFunc(all, func(a, b tokenizer.ID) int { return slices.Compare(a[:], b[:]) })
	same(t, "tokens used", len(slices.Compact(all)), tokens)
}

func tokensDeleted(t *contract) {
	r := newReplica(t, t.open())
	card := newCard()
	r.insert(tenant, card)
	extra, other := newToken(card), newToken(card)
	r.insertTokens(extra, other)
	deleted := func(id tokenizer.ID) bool {
		t.Helper()
		return r.changed(func(ctx context.Context, tx vault.Tx) (bool, error) { return tx.DeleteToken(ctx, tenant, id) })
	}
	for _, id := range []tokenizer.ID{extra.Token, card.StandingToken} {
		if !deleted(id) || deleted(id) {
			t.Error("want a token to be deleted once")
		}
		same(t, "deleted token", len(must(r.CardsByToken(t.Context(), tenant, []tokenizer.ID{id}))(t)), 0)
	}
	if deleted(newID()) || deleted(tokenizer.ID{}) {
		t.Error("a token was deleted that never was")
	}
	card.StandingToken, card.StandingTag = tokenizer.ID{}, 0
	same(t, "card", r.card(tenant, card.ID), card)
	other.Card = card
	same(t, "tokens left", must(r.ListTokens(t.Context(), tenant, card.ID))(t), []vault.TokenRow{other})
}

// Tokens are added to cards while these are deleted. Whoever comes first, no token
// is left.
func tokensAndDeletion(t *contract) {
	const cards = 20
	r, other := newReplica(t, t.open()), newReplica(t, t.open())
	rows := newCards(cards)
	r.insert(tenant, rows...)
	together(2, func(i int) {
		for _, card := range rows {
			var err error
			if i == 0 {
				err = r.try(func(ctx context.Context, tx vault.Tx) error {
					_, err := tx.DeleteCard(ctx, tenant, card.ID)
					return err
				})
			} else {
				err = other.try(func(ctx context.Context, tx vault.Tx) error {
					_, err := tx.InsertTokens(ctx, tenant, []vault.TokenRow{newToken(card), newToken(card)})
					return err
				})
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
	for _, card := range rows {
		same(t, "tokens of a deleted card", len(must(r.ListTokens(t.Context(), tenant, card.ID))(t)), 0)
	}
}
