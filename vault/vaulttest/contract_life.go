package vaulttest

import (
	"bytes"
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/vault"
)

func lifeCases() []contractCase {
	return []contractCase{
		{"changes state and expiry where both are as they were", lifeUpdate},
		{"counts closed and deleted cards of a range", lifeGone},
		{"ends in a tombstone", lifeDelete},
		{"begins anew from a tombstone", lifeRevive},
		{"gives a card one standing token", lifeStandingToken},
		{"is changed by one of those who try at once", lifeTogether},
	}
}

func (r *replica) update(was, now vault.CardRow) bool {
	r.t.Helper()
	return r.changed(func(ctx context.Context, tx vault.Tx) (bool, error) { return tx.UpdateCard(ctx, tenant, was, now) })
}

func (r *replica) delete(card uuid.UUID) bool {
	r.t.Helper()
	return r.changed(func(ctx context.Context, tx vault.Tx) (bool, error) { return tx.DeleteCard(ctx, tenant, card) })
}

func (r *replica) revive(card vault.CardRow) bool {
	r.t.Helper()
	return r.changed(func(ctx context.Context, tx vault.Tx) (bool, error) { return tx.ReviveCard(ctx, tenant, card) })
}

func lifeUpdate(t *contract) {
	r := newReplica(t, t.open())
	was := newCard()
	r.insert(tenant, was)
	now := was
	now.State, now.Expiry = vault.CardSuspended, was.Expiry+12
	if !r.update(was, now) {
		t.Error("the card is as it was, yet it was not changed")
	}
	same(t, "card", r.card(tenant, was.ID), now)

	otherExpiry, otherState := now, now
	otherExpiry.Expiry++
	otherState.State = vault.CardActive
	for what, stale := range map[string]vault.CardRow{"expiry": otherExpiry, "state": otherState, "id": newCard()} {
		if r.update(stale, was) {
			t.Errorf("a card was changed that has another %s", what)
		}
	}
	same(t, "card", r.card(tenant, was.ID), now)
	if r.changed(func(ctx context.Context, tx vault.Tx) (bool, error) { return tx.UpdateCard(ctx, foreign, now, was) }) {
		t.Error("another tenant changed the card")
	}
}

func lifeGone(t *contract) {
	r := newReplica(t, t.open())
	bin := r.insertRange(tenant, newRange("issuing", "900001"))
	closed, deleted, suspended, foreigner := issuedFrom(bin), issuedFrom(bin), issuedFrom(bin), newCard()
	r.insert(tenant, closed, deleted, suspended, foreigner)
	expect := func(after string, want int64) {
		t.Helper()
		if got := r.gone(tenant, bin.Name); got != want {
			t.Errorf("gone = %d after %s, want %d", got, after, want)
		}
	}
	to := func(card vault.CardRow, state vault.CardState) vault.CardRow {
		card.State = state
		return card
	}
	expect("issuing", 0)
	r.update(suspended, to(suspended, vault.CardSuspended))
	expect("suspending", 0)
	r.update(closed, to(closed, vault.CardClosed))
	expect("closing", 1)
	r.update(closed, to(closed, vault.CardClosed))
	expect("closing again", 1)
	r.delete(closed.ID)
	expect("deleting what was closed", 1)
	r.delete(deleted.ID)
	expect("deleting", 2)
	r.delete(deleted.ID)
	expect("deleting again", 2)
	r.update(foreigner, to(foreigner, vault.CardClosed))
	r.delete(foreigner.ID)
	expect("deleting what was tokenized", 2)
	r.commit(func(ctx context.Context, tx vault.Tx) error { return tx.PassNumbers(ctx, bin.Number, 7) })
	expect("passing 7 numbers", 9)
	r.revive(deleted)
	expect("reviving", 8)
	r.revive(foreigner)
	expect("reviving what was tokenized", 8)
}

func lifeDelete(t *contract) {
	r := newReplica(t, t.open())
	bin := r.insertRange(tenant, newRange("issuing", "900001"))
	card, neighbour := issuedFrom(bin), newCard()
	r.insert(tenant, card, neighbour)
	extra, others := newToken(card), newToken(neighbour)
	r.insertTokens(extra, others)
	if !r.delete(card.ID) {
		t.Error("the card was not deleted")
	}
	got := r.card(tenant, card.ID)
	want := vault.CardRow{
		ID: card.ID, Fingerprint: card.Fingerprint, State: vault.CardDeleted, Origin: card.Origin,
		RangeNumber: card.RangeNumber, BINRange: card.BINRange, Expiry: card.Expiry, Created: card.Created,
	}
	same(t, "tombstone", got, want)
	if bytes.Equal(got.Key[:], card.Key[:]) {
		t.Error("a tombstone names a key, although nothing is sealed")
	}
	tokens := []tokenizer.ID{card.StandingToken, extra.Token, others.Token}
	same(t, "tokens left", len(must(r.CardsByToken(t.Context(), tenant, tokens))(t)), 1)
	same(t, "tokens of the tombstone", len(must(r.ListTokens(t.Context(), tenant, card.ID))(t)), 0)
	same(t, "neighbour", r.card(tenant, neighbour.ID), neighbour)

	if r.delete(card.ID) || r.delete(uuid.New()) {
		t.Error("a card was deleted that is none")
	}
	if r.changed(func(ctx context.Context, tx vault.Tx) (bool, error) { return tx.DeleteCard(ctx, foreign, neighbour.ID) }) {
		t.Error("another tenant deleted the card")
	}
	alive := got
	alive.State = vault.CardActive
	if r.update(got, alive) {
		t.Error("a tombstone was changed")
	}
	r.insertTokens(newToken(card)) // lost, as if it had come before the deletion
	same(t, "tokens of the tombstone", len(must(r.ListTokens(t.Context(), tenant, card.ID))(t)), 0)
}

func lifeRevive(t *contract) {
	r := newReplica(t, t.open())
	bin := r.insertRange(tenant, newRange("issuing", "900001"))
	old := issuedFrom(bin)
	r.insert(tenant, old)
	anew := newCard() // tokenized: origin and range of the old card stay
	anew.ID, anew.Fingerprint, anew.Expiry, anew.LastFour = old.ID, old.Fingerprint, 400, 4242
	anew.Created = start().Add(time.Hour)
	if r.revive(anew) {
		t.Error("a live card was revived")
	}
	same(t, "card", r.card(tenant, old.ID), old)
	r.delete(old.ID)
	if !r.revive(anew) || r.revive(anew) {
		t.Error("want a tombstone to be revived once")
	}
	anew.Origin, anew.RangeNumber, anew.BINRange = old.Origin, old.RangeNumber, old.BINRange
	same(t, "card", r.card(tenant, old.ID), anew)
	if r.revive(newCard()) {
		t.Error("a card was revived that never was")
	}
}

func lifeStandingToken(t *contract) {
	r := newReplica(t, t.open())
	card := newCard()
	first := card.StandingToken
	card.StandingToken, card.StandingTag = tokenizer.ID{}, 0
	r.insert(tenant, card)
	set := func(token tokenizer.ID, tag int64) (row vault.CardRow) {
		t.Helper()
		r.commit(func(ctx context.Context, tx vault.Tx) (err error) {
			row, err = tx.SetStandingToken(ctx, tenant, card.ID, token, tag)
			return err
		})
		return row
	}
	want := card
	want.StandingToken, want.StandingTag = first, 17
	same(t, "card with its token", set(first, 17), want)
	same(t, "card that had one", set(newID(), 18), want)
	same(t, "card by its token", must(r.CardsByToken(t.Context(), tenant, []tokenizer.ID{first}))(t)[0].Card, want)

	r.delete(card.ID)
	tombstone := r.card(tenant, card.ID)
	same(t, "tombstone", set(newID(), 19), tombstone)
	err := r.try(func(ctx context.Context, tx vault.Tx) error {
		_, err := tx.SetStandingToken(ctx, tenant, uuid.New(), newID(), 1)
		return err
	})
	is(t, "standing token for no card", err, vault.ErrNoRow)
}

func lifeTogether(t *contract) {
	const replicas = 4
	r := newReplica(t, t.open())
	bin := r.insertRange(tenant, newRange("issuing", "900001"))
	card := issuedFrom(bin)
	r.insert(tenant, card)
	ends := make([]*replica, replicas)
	for i := range ends {
		ends[i] = newReplica(t, t.open())
	}
	closed := card
	closed.State = vault.CardClosed
	for _, change := range []func(ctx context.Context, tx vault.Tx) (bool, error){
		func(ctx context.Context, tx vault.Tx) (bool, error) { return tx.UpdateCard(ctx, tenant, card, closed) },
		func(ctx context.Context, tx vault.Tx) (bool, error) { return tx.DeleteCard(ctx, tenant, card.ID) },
	} {
		did := make([]bool, replicas)
		together(replicas, func(i int) {
			if err := ends[i].try(func(ctx context.Context, tx vault.Tx) (err error) {
				did[i], err = change(ctx, tx)
				return err
			}); err != nil {
				t.Error(err)
			}
		})
		same(t, "how many did it", count(did), 1)
	}
	same(t, "gone", r.gone(tenant, bin.Name), 1)
}

func count(did []bool) int {
	n := 0
	for _, d := range did {
		if d {
			n++
		}
	}
	return n
}
