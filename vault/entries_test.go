package vault_test

import (
	"errors"
	"testing"

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
