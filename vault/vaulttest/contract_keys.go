package vaulttest

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault"
)

func keyCases() []contractCase {
	return []contractCase{
		{"come back as they were added", keysRoundTrip},
		{"are each tenant's own", keysOfTenants},
		{"have one active version a scope", keysActive},
		{"have one active version a scope, whoever comes", keysTogether},
		{"count their uses up to a limit", keyUses},
		{"count their uses up to a limit, whoever comes", keyUsesTogether},
	}
}

func newKey(purpose, subject string) vault.KeyRow {
	return vault.KeyRow{
		ID: uuid.New(), Tenant: tenant, Purpose: purpose, Subject: subject, State: "active",
		KEKKind: "transit", KEKVersion: "v3", Wrapped: []byte("wrapped " + uuid.NewString()), Uses: 5, Created: start(),
	}
}

func (r *replica) insertKey(row vault.KeyRow, after uuid.UUID) bool {
	r.t.Helper()
	return r.changed(func(ctx context.Context, tx vault.Tx) (bool, error) { return tx.InsertKey(ctx, row, after) })
}

func keysRoundTrip(t *contract) {
	r := newReplica(t, t.open())
	for _, want := range []vault.KeyRow{newKey("data", ""), newKey("range", "main"), newKey("range", "other")} {
		if !r.insertKey(want, uuid.Nil) {
			t.Fatal("the first key of a scope was not added")
		}
		for _, store := range []vault.Store{r, t.open()} {
			same(t, "key", must(store.Key(t.Context(), tenant, want.ID))(t), want)
			same(t, "active key", must(store.ActiveKey(t.Context(), tenant, want.Purpose, want.Subject))(t), want)
		}
	}
	_, err := r.Key(t.Context(), tenant, uuid.New())
	is(t, "unknown key", err, vault.ErrNoRow)
	_, err = r.ActiveKey(t.Context(), tenant, "range", "unknown")
	is(t, "key of an unknown scope", err, vault.ErrNoRow)
}

func keysOfTenants(t *contract) {
	r := newReplica(t, t.open())
	key := newKey("data", "")
	r.insertKey(key, uuid.Nil)
	_, err := r.Key(t.Context(), foreign, key.ID)
	is(t, "foreign key", err, vault.ErrNoRow)
	_, err = r.ActiveKey(t.Context(), foreign, "data", "")
	is(t, "foreign active key", err, vault.ErrNoRow)
	is(t, "uses of a foreign key", r.ReserveKeyUses(t.Context(), foreign, key.ID, 1, 100), vault.ErrNoRow)

	theirs := newKey("data", "")
	theirs.Tenant = foreign
	servers := newKey("audit", "")
	servers.Tenant = "" // the server's own
	for _, other := range []vault.KeyRow{theirs, servers} {
		if !r.insertKey(other, uuid.Nil) {
			t.Errorf("tenant %q got no key of its own", other.Tenant)
		}
		same(t, "key", must(r.ActiveKey(t.Context(), other.Tenant, other.Purpose, ""))(t), other)
	}
	stolen := newKey("data", "")
	stolen.Tenant = foreign
	if r.insertKey(stolen, key.ID) {
		t.Error("a key took the place of another tenant's")
	}
	same(t, "key", must(r.Key(t.Context(), tenant, key.ID))(t), key)
}

func keysActive(t *contract) {
	r := newReplica(t, t.open())
	first, second, third := newKey("data", ""), newKey("data", ""), newKey("data", "")
	elsewhere := newKey("range", "main")
	r.insertKey(first, uuid.Nil)
	r.insertKey(elsewhere, uuid.Nil)
	if r.insertKey(second, uuid.Nil) {
		t.Error("a scope has two active keys")
	}
	if r.insertKey(second, elsewhere.ID) || r.insertKey(second, uuid.New()) {
		t.Error("a key took the place of one of another scope, or of none")
	}
	if !r.insertKey(second, first.ID) {
		t.Error("the successor was not added")
	}
	if r.insertKey(third, first.ID) {
		t.Error("a retiring key was succeeded again")
	}
	same(t, "active key", must(r.ActiveKey(t.Context(), tenant, "data", ""))(t), second)
	first.State = "retiring"
	same(t, "former key", must(r.Key(t.Context(), tenant, first.ID))(t), first)
	same(t, "key of another scope", must(r.Key(t.Context(), tenant, elsewhere.ID))(t), elsewhere)
	_, err := r.Key(t.Context(), tenant, third.ID)
	is(t, "key that was not added", err, vault.ErrNoRow)
}

func keysTogether(t *contract) {
	const replicas, rounds = 4, 5
	ends := make([]*replica, replicas)
	for i := range ends {
		ends[i] = newReplica(t, t.open())
	}
	after := uuid.Nil
	for range rounds {
		won := make([]bool, replicas)
		together(replicas, func(i int) {
			if err := ends[i].try(func(ctx context.Context, tx vault.Tx) (err error) {
				won[i], err = tx.InsertKey(ctx, newKey("data", ""), after)
				return err
			}); err != nil {
				t.Error(err)
			}
		})
		same(t, "successors", count(won), 1)
		after = must(ends[0].ActiveKey(t.Context(), tenant, "data", ""))(t).ID
	}
}

func keyUses(t *contract) {
	r := newReplica(t, t.open())
	key := newKey("data", "") // with 5 uses
	r.insertKey(key, uuid.Nil)
	reserve := func(n, limit int64) error { return r.ReserveKeyUses(t.Context(), tenant, key.ID, n, limit) }
	for _, c := range []struct {
		n, limit, uses int64
		err            error
	}{
		{10, 20, 15, nil},
		{6, 20, 15, vault.ErrLimit},
		{5, 20, 20, nil},
		{1, 20, 20, vault.ErrLimit},
		{1, 1 << 30, 21, nil},
		{1 << 30, 1 << 30, 21, vault.ErrLimit},
	} {
		is(t, "reserve", reserve(c.n, c.limit), c.err)
		same(t, "uses", must(t.open().Key(t.Context(), tenant, key.ID))(t).Uses, c.uses)
	}
	is(t, "uses of no key", r.ReserveKeyUses(t.Context(), tenant, uuid.New(), 1, 10), vault.ErrNoRow)
	successor := newKey("data", "")
	r.insertKey(successor, key.ID)
	is(t, "uses of a retiring key", reserve(1, 1<<30), nil)
}

func keyUsesTogether(t *contract) {
	const replicas, each, limit = 4, 30, 5 + 100
	r := newReplica(t, t.open())
	key := newKey("data", "")
	r.insertKey(key, uuid.Nil)
	granted := make([]int, replicas)
	together(replicas, func(i int) {
		store := t.open()
		for range each {
			err := store.ReserveKeyUses(t.Context(), tenant, key.ID, 1, limit)
			if err == nil {
				granted[i]++
			} else if !errors.Is(err, vault.ErrLimit) {
				t.Error(err)
			}
		}
	})
	sum := 0
	for _, n := range granted {
		sum += n
	}
	same(t, "granted", sum, limit-5)
	same(t, "uses", must(r.Key(t.Context(), tenant, key.ID))(t).Uses, limit)
	is(t, "one more", r.ReserveKeyUses(t.Context(), tenant, key.ID, 1, limit), vault.ErrLimit)
}
