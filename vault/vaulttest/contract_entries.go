package vaulttest

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
)

func entryCases() []contractCase {
	return []contractCase{
		{"come back as they were written", entriesRoundTrip},
		{"are listed by time, replica and number", entriesInOrder},
		{"are each tenant's own", entriesOfTenants},
		{"are found by replica and number, for their tenant", entriesByNumber},
		{"end at the head", entriesHead},
	}
}

// records writes one commit of entries with these tenants and times.
func (r *replica) records(entries ...audit.Entry) []audit.Record {
	r.t.Helper()
	chain := r.chain
	records := make([]audit.Record, len(entries))
	for i, e := range entries {
		chain, records[i] = chain.Append(e, e.Time)
	}
	err := r.Commit(r.t.Context(), func(context.Context, vault.Tx) ([]audit.Record, error) { return records, nil })
	if err != nil {
		r.t.Fatal(err)
	}
	r.chain = chain
	return records
}

func entriesRoundTrip(t *contract) {
	r := newReplica(t, t.open())
	want := r.records(
		audit.Entry{Tenant: tenant, Action: "One", Time: start(), Count: 3},
		audit.Entry{Tenant: tenant, Action: "Two", Time: start().Add(time.Microsecond), Decision: audit.Allow},
	)
	got := must(t.open().ListEntries(t.Context(), tenant, vault.EntryPosition{}, 10))(t)
	same(t, "entries", got, want)
	for _, record := range got {
		if _, err := record.Entry(); err != nil {
			t.Errorf("entry %d: %v", record.Number, err)
		}
	}
}

func entriesInOrder(t *contract) {
	var all []audit.Record
	for range 3 {
		r := newReplica(t, t.open())
		for i := range 4 {
			at := start().Add(time.Duration(i/2) * time.Second) // two of each time
			all = append(all, r.records(audit.Entry{Tenant: tenant, Time: at}, audit.Entry{Tenant: tenant, Time: at})...)
		}
	}
	slices.SortFunc(all, func(a, b audit.Record) int {
		return cmp.Or(a.Time.Compare(b.Time), slices.Compare(a.Replica[:], b.Replica[:]), cmp.Compare(a.Number, b.Number))
	})
	store := t.open()
	same(t, "all at once", must(store.ListEntries(t.Context(), tenant, vault.EntryPosition{}, 100))(t), all)
	for _, size := range []int{1, 5, 24} {
		same(t, "pages", pages(t, store, size), all)
	}
}

// pages lists a tenant's entries, each page from where the one before ended.
func pages(t testing.TB, store vault.Store, size int) []audit.Record {
	t.Helper()
	var all []audit.Record
	var from vault.EntryPosition
	for {
		page := must(store.ListEntries(t.Context(), tenant, from, size))(t)
		if len(page) > size {
			t.Fatalf("a page of %d, want at most %d", len(page), size)
		}
		all = append(all, page...)
		if len(page) < size {
			return all
		}
		last := page[len(page)-1]
		from = vault.EntryPosition{Time: last.Time, Replica: last.Replica, Number: last.Number + 1}
	}
}

func entriesOfTenants(t *contract) {
	r := newReplica(t, t.open())
	want := r.records(
		audit.Entry{Tenant: tenant, Time: start()},
		audit.Entry{Tenant: foreign, Time: start()},
		audit.Entry{Tenant: "", Action: "Start", Time: start()}, // the server's own
	)
	for _, record := range want {
		got := must(t.open().ListEntries(t.Context(), record.Tenant, vault.EntryPosition{}, 10))(t)
		same(t, "entries of "+record.Tenant, got, []audit.Record{record})
	}
	none := must(t.open().ListEntries(t.Context(), "nobody", vault.EntryPosition{}, 10))(t)
	same(t, "entries of nobody", len(none), 0)
}

func entriesByNumber(t *contract) {
	r, other := newReplica(t, t.open()), newReplica(t, t.open())
	want := r.records(
		audit.Entry{Tenant: tenant, Time: start()},
		audit.Entry{Tenant: foreign, Time: start()},
		audit.Entry{Tenant: "", Action: "Start", Time: start()},
	)
	other.records(audit.Entry{Tenant: tenant, Time: start()})
	store := t.open()
	for _, record := range want {
		got := must(store.Entry(t.Context(), record.Tenant, r.id, record.Number))(t)
		same(t, "entry of "+record.Tenant, got, record)
	}
	for what, ask := range map[string]struct {
		tenant  string
		replica uuid.UUID
		number  int64
	}{
		"of another tenant":   {foreign, r.id, 0},
		"of the server":       {tenant, r.id, 2},
		"of no tenant":        {"nobody", r.id, 0},
		"beyond the chain":    {tenant, other.id, 1},
		"before the chain":    {tenant, r.id, -1},
		"of no known replica": {tenant, uuid.New(), 0},
	} {
		_, err := store.Entry(t.Context(), ask.tenant, ask.replica, ask.number)
		is(t, "entry "+what, err, vault.ErrNoRow)
	}
}

func entriesHead(t *contract) {
	r, other := newReplica(t, t.open()), newReplica(t, t.open())
	r.records(audit.Entry{Tenant: tenant, Time: start()})
	last := r.records(audit.Entry{Tenant: tenant, Time: start()}, audit.Entry{Tenant: foreign, Time: start()})[1]
	other.records(audit.Entry{Tenant: tenant, Time: start().Add(time.Hour)})
	same(t, "head", must(t.open().Head(t.Context(), r.id))(t), last)
	_, err := r.Head(t.Context(), uuid.New())
	is(t, "head of nobody", err, vault.ErrNoRow)
}
