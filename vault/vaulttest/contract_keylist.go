package vaulttest

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault"
)

func keyListCases() []contractCase {
	return []contractCase{
		{"is of all tenants, in order, in pages", keysListed},
		{"counts what key versions have in common", keysCounted},
		{"finds keys near their end", keysEnding},
		{"counts the rows of keys", keyRowsCounted},
		{"counts no longer than it may", keyRowsInTime},
	}
}

func listed(k vault.KeyRow) vault.KeyListRow {
	return vault.KeyListRow{
		ID: k.ID, Tenant: k.Tenant, Purpose: k.Purpose, Subject: k.Subject, State: k.State,
		KEKKind: k.KEKKind, KEKVersion: k.KEKVersion, Uses: k.Uses, Created: k.Created,
	}
}

// insertKeys adds a first key to each of the tenants.
func (r *replica) insertKeys(tenants ...string) []vault.KeyRow {
	r.t.Helper()
	var rows []vault.KeyRow
	for _, name := range tenants {
		row := newKey("data", "")
		row.Tenant = name
		if !r.insertKey(row, uuid.Nil) {
			r.t.Fatal("the first key of a scope was not added")
		}
		rows = append(rows, row)
	}
	return rows
}

func keysListed(t *contract) {
	r := newReplica(t, t.open())
	same(t, "keys of nobody", must(r.ListKeys(t.Context(), vault.KeyPosition{}, 10))(t), nil)
	// An order by language, and not by bytes, would have a-b behind aa.
	rows := r.insertKeys("globex", "acme", "a-b", "aa", "a1", "zeta")
	for _, subject := range []string{"main", "other", "third"} {
		row := newKey("range", subject)
		row.KEKVersion, row.Uses, row.Created = "v4", 7, start().Add(time.Hour)
		r.insertKey(row, uuid.Nil)
		rows = append(rows, row)
	}
	successor := newKey("data", "")
	r.insertKey(successor, rows[1].ID)
	rows[1].State = "retiring"
	var want []vault.KeyListRow
	for _, row := range append(rows, successor) {
		want = append(want, listed(row))
	}
	slices.SortFunc(want, func(a, b vault.KeyListRow) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), bytes.Compare(a.ID[:], b.ID[:]))
	})
	store := t.open()
	same(t, "all keys", must(store.ListKeys(t.Context(), vault.KeyPosition{}, 100))(t), want)
	for _, size := range []int{1, 3, len(want)} {
		var got []vault.KeyListRow
		for at := (vault.KeyPosition{}); ; {
			page := must(store.ListKeys(t.Context(), at, size))(t)
			if len(page) > size {
				t.Fatalf("%d keys on a page of %d", len(page), size)
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
			at = vault.KeyPosition{Tenant: page[len(page)-1].Tenant, ID: page[len(page)-1].ID}
		}
		same(t, "keys of pages", got, want)
	}
}

func keysCounted(t *contract) {
	r := newReplica(t, t.open())
	same(t, "counts of no keys", must(r.CountKeys(t.Context()))(t), nil)
	rows := r.insertKeys(tenant, foreign)
	older := newKey("range", "main")
	older.Created = start().Add(-time.Hour)
	younger := newKey("range", "other")
	younger.Uses = 500
	otherKEK := newKey("range", "third")
	otherKEK.KEKVersion = "v4"
	for _, row := range []vault.KeyRow{older, younger, otherKEK} {
		r.insertKey(row, uuid.Nil)
	}
	successor := newKey("data", "")
	successor.Uses, successor.Created = 1<<40, start().Add(time.Hour)
	r.insertKey(successor, rows[0].ID)

	got := must(t.open().CountKeys(t.Context()))(t)
	slices.SortFunc(got, func(a, b vault.KeyCount) int {
		return cmp.Or(cmp.Compare(a.Purpose, b.Purpose), cmp.Compare(a.State, b.State), cmp.Compare(a.KEKVersion, b.KEKVersion))
	})
	same(t, "counts", got, []vault.KeyCount{
		{Purpose: "data", State: "active", KEKKind: "transit", KEKVersion: "v3", Keys: 2, Oldest: start(), MostUses: 1 << 40},
		{Purpose: "data", State: "retiring", KEKKind: "transit", KEKVersion: "v3", Keys: 1, Oldest: start(), MostUses: 5},
		{Purpose: "range", State: "active", KEKKind: "transit", KEKVersion: "v3", Keys: 2, Oldest: start().Add(-time.Hour), MostUses: 500},
		{Purpose: "range", State: "active", KEKKind: "transit", KEKVersion: "v4", Keys: 1, Oldest: start(), MostUses: 5},
	})
}

func keysEnding(t *contract) {
	r := newReplica(t, t.open())
	old, used, both, retiring, elsewhere := newKey("data", ""), newKey("data", ""), newKey("data", ""), newKey("data", ""), newKey("range", "main")
	old.Tenant, used.Tenant, both.Tenant = "old", "used", "both"
	old.Created = start().Add(-time.Hour)
	used.Uses = 1000
	both.Created, both.Uses = start().Add(-2*time.Hour), 1001
	retiring.Created = start().Add(-3 * time.Hour)
	elsewhere.Created = start().Add(-3 * time.Hour)
	for _, row := range []vault.KeyRow{old, used, both, retiring, elsewhere} {
		r.insertKey(row, uuid.Nil)
	}
	r.insertKey(newKey("data", ""), retiring.ID)
	ending := func(created time.Time, uses int64, limit int) []vault.KeyListRow {
		return must(t.open().EndingKeys(t.Context(), "data", created, uses, limit))(t)
	}
	all := []vault.KeyListRow{listed(both), listed(old), listed(used)}
	same(t, "ending keys", ending(start().Add(-time.Hour), 1000, 10), all)
	same(t, "first ending keys", ending(start().Add(-time.Hour), 1000, 2), all[:2])
	same(t, "keys just before", ending(start().Add(-2*time.Hour), 1002, 10), all[:1])
	same(t, "keys that end later", ending(start().Add(-4*time.Hour), 1<<30, 10), nil)
}

func keyRowsCounted(t *contract) {
	r := newReplica(t, t.open())
	first, second := newKey("data", ""), newKey("data", "")
	cards := newCards(6)
	for i := range cards {
		cards[i].Key = first.ID
	}
	cards[5].Key = second.ID
	r.insert(tenant, cards...)
	theirs := newCard()
	theirs.Key = first.ID // an id is of its own tenant
	r.insert(foreign, theirs)
	main, other := newRange("main", "90000001"), newRange("other", "90000002")
	r.insertRange(tenant, main)
	r.insertRange(foreign, other)
	if !r.changed(func(ctx context.Context, tx vault.Tx) (bool, error) { return tx.DeleteCard(ctx, tenant, cards[0].ID) }) {
		t.Fatal("the card was not deleted")
	}

	count := func(tenants ...string) map[vault.KeyRowCount]bool {
		counts := map[vault.KeyRowCount]bool{}
		for _, c := range must(t.open().CountKeyRows(t.Context(), tenants, time.Minute))(t) {
			counts[c] = true
		}
		return counts
	}
	own := map[vault.KeyRowCount]bool{
		{Tenant: tenant, Key: first.ID, Cards: 4}:  true,
		{Tenant: tenant, Key: second.ID, Cards: 1}: true,
		{Tenant: tenant, Cards: 1}:                 true,
		{Tenant: tenant, Key: main.Key, Ranges: 1}: true,
	}
	same(t, "rows of a tenant", count(tenant), own)
	same(t, "rows of nobody", count(), map[vault.KeyRowCount]bool{})
	same(t, "rows of a tenant that is none", count("nobody"), map[vault.KeyRowCount]bool{})
	own[vault.KeyRowCount{Tenant: foreign, Key: first.ID, Cards: 1}] = true
	own[vault.KeyRowCount{Tenant: foreign, Key: other.Key, Ranges: 1}] = true
	same(t, "rows of both tenants", count(foreign, tenant, "nobody"), own)
}

// keyRowsInTime gives the count a time in which not even so few cards can be read.
func keyRowsInTime(t *contract) {
	r := newReplica(t, t.open())
	for range 5 {
		cards := make([]vault.CardRow, 4000)
		for i := range cards {
			cards[i] = newCard()
		}
		r.insert(tenant, cards...)
	}
	_, err := r.CountKeyRows(t.Context(), []string{tenant}, time.Nanosecond)
	is(t, "a count without time", err, context.DeadlineExceeded)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = r.CountKeyRows(ctx, []string{tenant}, time.Minute)
	is(t, "a count for nobody", err, context.Canceled)
	same(t, "counts afterwards", len(must(r.CountKeyRows(t.Context(), []string{tenant}, time.Minute))(t)), 20_000)
}
