package vault_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/crypto/localsigner"
	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/audit"
)

// listKeys returns all keys, with their rows, by tenant and purpose: the tests have
// no more than one of each.
func listKeys(t *testing.T, v *vault.Vault, size int) map[string]vault.KeyVersion {
	t.Helper()
	keys := map[string]vault.KeyVersion{}
	for token := ""; ; {
		page, receipt, err := v.ListKeys(t.Context(), staff("security"), vault.KeyQuery{PageSize: size, PageToken: token, CountRows: true})
		if err != nil || receipt == (vault.Receipt{}) {
			t.Fatal(receipt, err)
		}
		for _, k := range page.Keys {
			keys[k.Tenant+" "+k.Purpose] = k
		}
		if token = page.Next; token == "" {
			return keys
		}
	}
}

// TestListOfKeysIsForStaff: under a policy that permits whatever can be permitted a
// tenant's callers learn of no key, and under the demo's one of the staff does.
// Answers and refusals are recorded.
func TestListOfKeysIsForStaff(t *testing.T) {
	v, s := newVault(t)
	ctx := t.Context()
	ask := func(c vault.Caller) ([]vault.KeyVersion, error) {
		list, _, err := v.ListKeys(ctx, c, vault.KeyQuery{CountRows: true})
		if err != nil && (list.Keys != nil || list.KEKs != nil || list.LogKeys != nil) {
			t.Errorf("%s was refused and got %+v", c.SPIFFE, list)
		}
		return list.Keys, err
	}
	if keys, err := ask(staff("security")); err != nil || len(keys) != 2 {
		t.Fatalf("%+v, %v", keys, err)
	}
	for _, c := range []vault.Caller{{}, staff("auditor"), staff(""), caller("security"), caller("auditor"), {Staff: true, Tenant: "demo", Name: "security"}} {
		if _, err := ask(c); !errors.Is(err, vault.ErrDenied) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	all, err := access.Parse("all.cedar", []byte(`@id("all") permit (principal, action, resource);`))
	if err != nil {
		t.Fatal(err)
	}
	if err := v.SetPolicy(ctx, all); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(caller("security")); !errors.Is(err, vault.ErrDenied) {
		t.Errorf("a tenant's caller, all permitted: %v", err)
	}
	if _, err := ask(staff("auditor")); err != nil {
		t.Errorf("staff, all permitted: %v", err)
	}
	var told []string
	for _, e := range ownEntries(t, s, "ListKeys") {
		told = append(told, e.Decision.String()+" "+e.Policy)
		if e.Decision == audit.Allow && (e.Count != 2 || e.Principal == "" || e.Result != "OK") {
			t.Errorf("recorded as %+v", e)
		}
	}
	slices.Sort(told)
	if want := "allow all,allow staff-security-keys,deny ,deny ,deny "; strings.Join(told, ",") != want {
		t.Errorf("recorded %q, want %q", told, want)
	}
	if own, _ := list(t, v, vault.EntryQuery{Action: "ListKeys", Decision: "deny"}); len(own) != 4 {
		t.Errorf("%d refusals of the tenant's callers, want 4", len(own))
	}
}

// TestRowsOfKeys: what depends on each key is right after each kind of call, for
// each of two tenants.
func TestRowsOfKeys(t *testing.T) {
	v, _ := newVault(t)
	rows := func(want map[string]int64) {
		t.Helper()
		for _, size := range []int{1, 1000} {
			got := map[string]int64{}
			for name, k := range listKeys(t, v, size) {
				got[name] = *k.Rows
			}
			if !maps.Equal(got, want) {
				t.Errorf("in pages of %d: rows %v, want %v", size, got, want)
			}
		}
	}
	rows(map[string]int64{"demo fingerprint": 0, "demo range": 1})
	cards := issue(t, v, 5)
	rows(map[string]int64{"demo data": 5, "demo fingerprint": 5, "demo range": 1})
	tokenize(t, v, foreignPAN, vault.TokenOptions{})
	createOther(t, v)
	rows(map[string]int64{"demo data": 6, "demo fingerprint": 6, "demo range": 1, "other data": 1, "other fingerprint": 1})
	if _, err := v.DeleteCard(t.Context(), caller("issuer"), "", cards[0].Card.ID.String()); err != nil {
		t.Fatal(err)
	}
	// A tombstone needs no data key. Its fingerprint stays.
	rows(map[string]int64{"demo data": 5, "demo fingerprint": 6, "demo range": 1, "other data": 1, "other fingerprint": 1})
}

// TestKeysAsListed: algorithm, ages and limits, of the version that seals and of
// the one before it.
func TestKeysAsListed(t *testing.T) {
	v, s := newVault(t)
	issue(t, v, 1)
	made := s.clock.Now().UTC().Truncate(time.Microsecond)
	s.clock.Advance(year / 10 * 9)
	issue(t, v, 1)
	list, _, err := v.ListKeys(t.Context(), staff("security"), vault.KeyQuery{})
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]int{}
	for _, k := range list.Keys {
		states[k.Purpose+" "+k.State]++
		if k.Tenant != "demo" || k.KEKKind != "local" || k.KEKVersion != "1" || k.Rows != nil {
			t.Errorf("key %+v", k)
		}
		switch {
		case k.Purpose != "data":
			if k.Limit != nil || k.Age != year/10*9 || !k.Created.Equal(made) {
				t.Errorf("%s key %+v", k.Purpose, k)
			}
		case k.State == "retiring":
			if k.Limit == nil || k.Limit.Sealing || !k.Limit.Ends.Equal(made.Add(year)) || k.Limit.Uses == 0 || k.Age != year/10*9 {
				t.Errorf("the one before %+v, %+v", k, k.Limit)
			}
		case !k.Limit.Sealing || k.Limit.Left != year || k.Limit.Uses+k.Limit.UsesLeft != 1<<30 || k.Age != 0 || k.Algorithm != "AES-256-GCM":
			t.Errorf("the one that seals %+v, %+v", k, k.Limit)
		}
	}
	if want := map[string]int{"data active": 1, "data retiring": 1, "fingerprint active": 1, "range active": 1}; !maps.Equal(states, want) {
		t.Errorf("keys %v, want %v", states, want)
	}
	if want := []vault.KEKVersion{{Kind: "local", Version: "1", Keys: 4}}; !slices.Equal(list.KEKs, want) {
		t.Errorf("KEK %v, want %v", list.KEKs, want)
	}
	if want := []string{s.signer.VerifierKey()}; !slices.Equal(list.LogKeys, want) {
		t.Errorf("keys of the log %v, want %v", list.LogKeys, want)
	}
}

// silentSigner knows no keys.
type silentSigner struct{ *localsigner.Signer }

func (s silentSigner) Keys(context.Context) ([]note.Verifier, error) {
	return nil, errors.New("the signer does not answer")
}

// A list of keys is wanted most when keys are out of reach.
func TestKeysAreListedWithoutTheSigner(t *testing.T) {
	s := newSite(t)
	v := s.replicaSigning(t, s.store, silentSigner{s.signer})
	createRange(t, v, spec("demo", "99990000001"))
	list, _, err := v.ListKeys(t.Context(), staff("security"), vault.KeyQuery{})
	if err != nil || len(list.Keys) != 2 || list.LogKeys != nil {
		t.Errorf("%+v, %v", list, err)
	}
}

// countingStore counts for as long as it is told to.
type countingStore struct {
	vault.Store

	counting chan struct{} // receives when a count begins
	end      chan error    // ends it
}

func (s countingStore) CountKeyRows(context.Context, []string, time.Duration) ([]vault.KeyRowCount, error) {
	s.counting <- struct{}{}
	return nil, <-s.end
}

// TestRowsAreNotCountedForEver: a count that takes too long is refused, and so is
// one beside another.
func TestRowsAreNotCountedForEver(t *testing.T) {
	s := newSite(t)
	store := countingStore{s.store, make(chan struct{}), make(chan error)}
	v := s.replica(t, store)
	first := make(chan error)
	ask := func(rows bool) error {
		_, _, err := v.ListKeys(t.Context(), staff("security"), vault.KeyQuery{CountRows: rows})
		return err
	}
	go func() { first <- ask(true) }()
	<-store.counting
	if err := ask(true); !errors.Is(err, vault.ErrKeyRowsBusy) {
		t.Errorf("beside another count: %v", err)
	}
	if err := ask(false); err != nil {
		t.Errorf("without rows: %v", err)
	}
	store.end <- context.DeadlineExceeded
	if err := <-first; !errors.Is(err, vault.ErrKeyRowsTime) {
		t.Errorf("a count that took too long: %v", err)
	}
	go func() { first <- ask(true) }()
	<-store.counting
	store.end <- errors.New("the disk is gone")
	if err := <-first; !errors.Is(err, vault.ErrStoreUnavailable) {
		t.Errorf("a count that failed: %v", err)
	}
}
