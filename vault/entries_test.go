package vault_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
)

// entriesOf returns the entries of one action.
func entriesOf(t *testing.T, v *vault.Vault, action string) []audit.Entry {
	t.Helper()
	var of []audit.Entry
	for _, e := range checkChains(t, v) {
		if e.Action == action {
			of = append(of, e)
		}
	}
	return of
}

// TestEntriesNameTheCard: whatever was done to a card, its entry says to which.
func TestEntriesNameTheCard(t *testing.T) {
	v, _ := newVault(t)
	ctx, c := t.Context(), caller("issuer")
	card := issue(t, v, 1)[0]
	id, requestID := card.Card.ID, newRequestID()
	extra, _, err := v.CreateToken(ctx, c, "", id.String(), vault.TokenOptions{SingleUse: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time is a repetition
		if _, err := v.RevokeToken(ctx, c, requestID, extra.Token); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := v.RevokeToken(ctx, c, "", card.Token); err != nil {
		t.Fatal(err)
	}
	if _, err := v.DeleteCard(ctx, c, "", id.String()); err != nil {
		t.Fatal(err)
	}
	for _, call := range []func() error{
		func() error { _, _, err := v.GetCard(ctx, c, id.String()); return err },
		func() error { _, _, err := v.SuspendCard(ctx, c, "", id.String()); return err },
		func() error { _, _, err := v.ListTokens(ctx, c, id.String()); return err },
		func() error { _, _, err := v.CreateToken(ctx, c, "", id.String(), vault.TokenOptions{}); return err },
		func() error { _, err := v.DeleteCard(ctx, c, "", id.String()); return err },
	} {
		if err := call(); !errors.Is(err, vault.ErrCardNotFound) {
			t.Error(err)
		}
	}
	for action, n := range map[string]int{
		"IssueCard": 1, "RevokeToken": 3, "DeleteCard": 2, "CreateToken": 2, "GetCard": 1, "SuspendCard": 1, "ListTokens": 1,
	} {
		entries := entriesOf(t, v, action)
		if len(entries) != n {
			t.Errorf("%s: %d entries, want %d", action, len(entries), n)
		}
		for _, e := range entries {
			if e.Card != id {
				t.Errorf("%s %s: card %s, want %s", action, e.Result, e.Card, id)
			}
		}
	}
}

// TestEveryDeniedItemHasItsEntry: in a batch to several ranges each item that policy
// denies is recorded by itself, all in one commit, and answers with its receipt.
func TestEveryDeniedItemHasItsEntry(t *testing.T) {
	v, _ := newVault(t)
	reqs := []vault.IssueRequest{{BINRange: "demo"}, {BINRange: "another"}, {BINRange: "demo"}, {BINRange: "X"}}
	results, err := v.IssueCards(t.Context(), caller("support"), reqs)
	if err != nil {
		t.Fatal(err)
	}
	receipts := map[vault.Receipt]bool{}
	for i, want := range []error{vault.ErrDenied, vault.ErrDenied, vault.ErrDenied, vault.ErrBINRangeID} {
		if !errors.Is(results[i].Err, want) {
			t.Errorf("item %d: %v", i, results[i].Err)
		}
		if results[i].Receipt.Replica == uuid.Nil {
			t.Errorf("item %d has no receipt", i)
		}
		receipts[results[i].Receipt] = true
	}
	if len(receipts) != len(reqs) {
		t.Errorf("%d receipts", len(receipts))
	}
	entries := entriesOf(t, v, "IssueCard")
	if len(entries) != len(reqs) {
		t.Fatalf("%d entries", len(entries))
	}
	for i, e := range entries {
		if e.Decision != audit.Deny || e.Principal != caller("support").SPIFFE || i < 3 && e.BINRange != reqs[i].BINRange {
			t.Errorf("entry %+v", e)
		}
	}
}

// list returns a page of the demo tenant's entries.
func list(t *testing.T, v *vault.Vault, q vault.EntryQuery) ([]audit.Entry, string) {
	t.Helper()
	records, next, _, err := v.ListEntries(t.Context(), caller("auditor"), q)
	if err != nil {
		t.Fatal(err)
	}
	entries := make([]audit.Entry, len(records))
	for i, r := range records {
		if entries[i], err = r.Entry(); err != nil {
			t.Fatal(err)
		}
	}
	return entries, next
}

// TestEntriesAreFiltered walks all pages of each filter and compares with the whole
// log.
func TestEntriesAreFiltered(t *testing.T) {
	v, s := newVault(t)
	cards := issue(t, v, 7)
	s.clock.Advance(time.Minute)
	middle := s.clock.Now().Truncate(time.Microsecond)
	for _, card := range cards {
		for _, name := range []string{"issuer", "payments"} {
			_, _, err := v.GetCard(t.Context(), caller(name), card.Card.ID.String())
			if denied := name == "payments"; errors.Is(err, vault.ErrDenied) != denied {
				t.Fatal(err)
			}
		}
	}
	s.clock.Advance(time.Minute)
	all := checkChains(t, v)
	end := s.clock.Now().Truncate(time.Microsecond)
	for name, tc := range map[string]struct {
		query vault.EntryQuery
		wants func(audit.Entry) bool
		n     int
	}{
		"principal": {vault.EntryQuery{Principal: caller("payments").SPIFFE}, func(e audit.Entry) bool { return e.Principal == caller("payments").SPIFFE }, 7},
		"card":      {vault.EntryQuery{CardID: cards[3].Card.ID.String()}, func(e audit.Entry) bool { return e.Card == cards[3].Card.ID }, 2},
		"action":    {vault.EntryQuery{Action: "IssueCard"}, func(e audit.Entry) bool { return e.Action == "IssueCard" }, 7},
		"decision":  {vault.EntryQuery{Decision: "deny"}, func(e audit.Entry) bool { return e.Decision == audit.Deny }, 7},
		"all of them": {
			vault.EntryQuery{Principal: caller("issuer").SPIFFE, Action: "GetCard", Decision: "allow", Start: middle},
			func(e audit.Entry) bool {
				return e.Principal == caller("issuer").SPIFFE && e.Action == "GetCard" && e.Decision == audit.Allow
			}, 7,
		},
		"before":  {vault.EntryQuery{End: middle}, func(e audit.Entry) bool { return e.Time.Before(middle) }, 11},
		"between": {vault.EntryQuery{Start: middle, End: end}, func(e audit.Entry) bool { return !e.Time.Before(middle) && e.Time.Before(end) }, 14},
		"never":   {vault.EntryQuery{Start: end, End: middle}, func(audit.Entry) bool { return false }, 0},
	} {
		var want []int64
		for _, e := range all {
			if tc.wants(e) {
				want = append(want, e.Number)
			}
		}
		if len(want) != tc.n {
			t.Errorf("%s: the log has %d such entries, want %d", name, len(want), tc.n)
		}
		for _, size := range []int{1, 3, tc.n, 1000} {
			var got []int64
			q := tc.query
			for q.PageSize = size; ; {
				entries, next := list(t, v, q)
				if len(entries) > size && size > 0 {
					t.Errorf("%s: a page of %d, want at most %d", name, len(entries), size)
				}
				for _, e := range entries {
					if e.Number <= all[len(all)-1].Number { // without those that listing adds
						got = append(got, e.Number)
					}
				}
				if q.PageToken = next; next == "" {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, %d a page: entries %v, want %v", name, size, got, want)
			}
		}
	}
}

// manyEntries is a store with more entries of one tenant than anyone looks at in one
// call, and counts how many were read.
type manyEntries struct {
	vault.Store

	like audit.Record
	n    int64
	read int
}

func (s *manyEntries) ListEntries(_ context.Context, _ string, from vault.EntryPosition, limit int) ([]audit.Record, error) {
	var records []audit.Record
	for number := from.Number; number < s.n && len(records) < limit; number++ {
		r := s.like
		entry, err := r.Entry()
		if err != nil {
			return nil, err
		}
		entry.Number, r.Number = number, number
		r.Body = entry.Encode()
		records = append(records, r)
	}
	s.read += len(records)
	return records, nil
}

// TestFilterThatLittlePassesIsBounded: a page that finds nothing ends, says where to
// go on, and the last one says that it is the last.
func TestFilterThatLittlePassesIsBounded(t *testing.T) {
	s := newSite(t)
	store := &manyEntries{Store: s.store, n: 25_000}
	_, store.like = audit.NewChain(uuid.New()).Append(audit.Entry{Tenant: "demo", Action: "GetCard"}, s.clock.Now())
	v := s.replica(t, store)
	q := vault.EntryQuery{Action: "DeleteCard"}
	for _, page := range []struct {
		next bool
		read int
	}{{true, 10_000}, {true, 10_000}, {false, 5_000}} {
		store.read = 0
		entries, next := list(t, v, q)
		if len(entries) != 0 || (next != "") != page.next || store.read < page.read || store.read > page.read+1000 {
			t.Errorf("%d entries found, next page %t, %d read; want none, %t, %d", len(entries), next != "", store.read, page.next, page.read)
		}
		q.PageToken = next
	}
}

func TestBadEntryQuery(t *testing.T) {
	v, _ := newVault(t)
	for name, tc := range map[string]struct {
		query vault.EntryQuery
		want  error
	}{
		"principal a name": {vault.EntryQuery{Principal: "auditor"}, vault.ErrEntryFilter},
		"principal a PAN":  {vault.EntryQuery{Principal: foreignPAN}, vault.ErrCardData},
		"card":             {vault.EntryQuery{CardID: "1"}, vault.ErrCardID},
		"action with NUL":  {vault.EntryQuery{Action: "GetCard\x00"}, vault.ErrEntryFilter},
		"action too long":  {vault.EntryQuery{Action: strings.Repeat("a", 65)}, vault.ErrEntryFilter},
		"decision":         {vault.EntryQuery{Decision: "ALLOW"}, vault.ErrEntryFilter},
		"page token":       {vault.EntryQuery{PageToken: "x"}, vault.ErrPageToken},
	} {
		_, _, receipt, err := v.ListEntries(t.Context(), caller("auditor"), tc.query)
		if !errors.Is(err, tc.want) || receipt == (vault.Receipt{}) {
			t.Errorf("%s: %v, receipt %v, want %v", name, err, receipt, tc.want)
		}
	}
}

// TestStopIsRecordedOnce: a range stops once, however many cards were asked for.
func TestStopIsRecordedOnce(t *testing.T) {
	v, s := newVault(t)
	issue(t, v, 5)
	s.edit(t, `UPDATE bin_ranges SET carved = 0; DELETE FROM range_blocks`)
	fresh := s.replica(t, s.reopen(t))
	results, err := fresh.IssueCards(t.Context(), caller("issuer"), requests(4))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if !errors.Is(r.Err, vault.ErrBINRangeStopped) {
			t.Error(r.Err)
		}
	}
	if n := len(entriesOf(t, fresh, "StopBinRange")); n != 1 {
		t.Errorf("%d entries say that the range stopped", n)
	}
}
