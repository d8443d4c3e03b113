package vault_test

import (
	"errors"
	"testing"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/audit"
)

// ownEntries returns the server's own entries of an action.
func ownEntries(t *testing.T, s *site, action string) []audit.Entry {
	t.Helper()
	records, err := s.store.ListEntries(t.Context(), "", vault.EntryPosition{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var entries []audit.Entry
	for _, r := range records {
		e, err := r.Entry()
		if err != nil {
			t.Fatal(err)
		}
		if e.Action == action {
			entries = append(entries, e)
		}
	}
	return entries
}

// TestPolicyInForceIsRecorded: which policy decided at any moment can be read from
// the log, by the digest of its file.
func TestPolicyInForceIsRecorded(t *testing.T) {
	v, s := newVault(t)
	start := ownEntries(t, s, "StartReplica")
	demo, err := access.Parse("demo.cedar", access.DemoPolicy())
	if err != nil {
		t.Fatal(err)
	}
	if len(start) != 1 || start[0].Digest != demo.Digest() {
		t.Errorf("the start is recorded as %+v", start)
	}

	if err := v.SetPolicy(t.Context(), demo); err != nil {
		t.Fatal(err)
	}
	if set := ownEntries(t, s, "SetPolicy"); len(set) != 0 {
		t.Errorf("the policy in force was put in force: %+v", set)
	}
	none, err := access.Parse("none.cedar", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.SetPolicy(t.Context(), none); err != nil {
		t.Fatal(err)
	}
	if set := ownEntries(t, s, "SetPolicy"); len(set) != 1 || set[0].Digest != none.Digest() || set[0].Decision != audit.Allow {
		t.Errorf("the new policy is recorded as %+v", set)
	}
	if _, _, err := v.GetCard(t.Context(), caller("issuer"), "x"); !errors.Is(err, vault.ErrDenied) {
		t.Errorf("it does not decide: %v", err)
	}
}

func TestPolicyThatCannotBeRecordedIsNotInForce(t *testing.T) {
	v, s := newVault(t)
	if err := v.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := v.SetPolicy(t.Context(), nil); err == nil {
		t.Error("a replica that has ended put a policy in force")
	}
	if set := ownEntries(t, s, "SetPolicy"); len(set) != 0 {
		t.Errorf("recorded: %+v", set)
	}
}
