package vault_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/crypto/localsigner"
	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/audit"
)

// staff is one of the deployment's own.
func staff(name string) vault.Caller {
	return vault.Caller{SPIFFE: "spiffe://dev.test/staff/" + name, Staff: true, Name: name, CertSerial: "0a1c"}
}

func receiptOf(r vault.Receipt) vault.EntryPlace {
	return vault.EntryPlace{Replica: r.Replica.String(), Number: r.Number}
}

// covered asks until a checkpoint covers the entry, as clients do.
func covered(t *testing.T, v *vault.Vault, c vault.Caller, at vault.EntryPlace) vault.LogEntry {
	t.Helper()
	for {
		entry, _, err := v.GetEntry(t.Context(), c, at)
		switch {
		case err == nil:
			return entry
		case !errors.Is(err, vault.ErrEntryPending):
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (s *site) keys(t *testing.T) []note.Verifier {
	t.Helper()
	keys, err := s.signer.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestReceiptIsProven: with the receipt of an answer and the log's public key a
// caller proves that what it did is in the log.
func TestReceiptIsProven(t *testing.T) {
	v, s := newVault(t)
	card := issue(t, v, 1)[0]
	at := receiptOf(card.Receipt)
	entry := covered(t, v, caller("auditor"), at)
	if e, err := entry.Record.Entry(); err != nil || e.Action != "IssueCard" || e.Card != card.Card.ID {
		t.Errorf("entry %+v, %v", e, err)
	}
	for _, c := range []vault.Caller{caller("auditor"), staff("auditor")} {
		for _, at := range []vault.EntryPlace{at, {Index: entry.Index}} {
			proven, proof, receipt, err := v.ProveEntry(t.Context(), c, at)
			if err != nil || proven.Index != entry.Index || string(proven.Record.Body) != string(entry.Record.Body) || receipt == (vault.Receipt{}) {
				t.Fatalf("%s: %+v, %v, %v", c.SPIFFE, proven, receipt, err)
			}
			checkpoint, err := proof.Verify(entry.Record.Body, s.keys(t)...)
			if err != nil || checkpoint.Origin != logOrigin || checkpoint.Size <= entry.Index {
				t.Errorf("%s: %+v, %v", c.SPIFFE, checkpoint, err)
			}
			if _, err := proof.Verify([]byte("{}"), s.keys(t)...); !errors.Is(err, audit.ErrNotProven) {
				t.Errorf("another body: %v", err)
			}
		}
	}
	for _, e := range entriesOf(t, v, "GetInclusionProof") {
		if e.Result != "OK" || e.Index != entry.Index {
			t.Errorf("recorded as %+v", e)
		}
	}
}

// TestLaterLogBeginsWithTheEarlier is what an auditor keeps checkpoints for.
func TestLaterLogBeginsWithTheEarlier(t *testing.T) {
	v, s := newVault(t)
	ctx, auditor := t.Context(), caller("auditor")
	covered(t, v, auditor, receiptOf(issue(t, v, 1)[0].Receipt))
	signed, _, err := v.GetCheckpoint(ctx, auditor)
	if err != nil {
		t.Fatal(err)
	}
	older, err := audit.OpenCheckpoint(signed, s.keys(t)...)
	if err != nil {
		t.Fatal(err)
	}
	covered(t, v, auditor, receiptOf(issue(t, v, 300)[299].Receipt))
	proven, receipt, err := v.ProveConsistency(ctx, auditor, older.Size, 0)
	if err != nil || receipt == (vault.Receipt{}) {
		t.Fatal(err)
	}
	newer, err := audit.OpenCheckpoint(proven.Checkpoint, s.keys(t)...)
	if err != nil || proven.First != older.Size || proven.Second != newer.Size || newer.Size < older.Size+300 {
		t.Fatalf("%+v, %+v, %v", proven, newer, err)
	}
	if err := tlog.CheckTree(proven.Proof, newer.Size, newer.Root, older.Size, older.Root); err != nil {
		t.Error(err)
	}
	within, _, err := v.ProveConsistency(ctx, auditor, older.Size, newer.Size-1)
	if err != nil || within.Checkpoint != nil || within.Second != newer.Size-1 {
		t.Errorf("between two that are not the newest: %+v, %v", within, err)
	}
	for _, sizes := range [][2]int64{{0, 0}, {-1, 0}, {1 << 40, 0}, {1, 1 << 40}, {2, 1}, {1, -1}} {
		if _, _, err := v.ProveConsistency(ctx, auditor, sizes[0], sizes[1]); !errors.Is(err, vault.ErrTreeSize) {
			t.Errorf("sizes %v: %v", sizes, err)
		}
	}
}

// TestEntriesOfOthersAreNoEntries is P6: foreign, the server's own, unknown and not
// there yet answer alike, by receipt and by index. Staff sees them all.
func TestEntriesOfOthersAreNoEntries(t *testing.T) {
	v, _ := newVault(t)
	card := issue(t, v, 1)[0]
	createOther(t, v)
	last := covered(t, v, caller("auditor"), receiptOf(issue(t, v, 1)[0].Receipt))
	tenants := map[string]int{}
	for index := range last.Index + 1 {
		r := covered(t, v, staff("auditor"), vault.EntryPlace{Index: index}).Record
		tenants[r.Tenant]++
		checkShown(t, v, vault.EntryPlace{Replica: r.Replica.String(), Number: r.Number}, r.Tenant == "demo")
	}
	// Nor does what is recorded tell where the entry behind a foreign receipt stands.
	refused, _ := list(t, v, vault.EntryQuery{Action: "GetEntry", Decision: "allow", PageSize: 1000})
	for _, e := range refused {
		if e.Result == vault.ErrEntryNotFound.Reason && e.Index != 0 {
			t.Errorf("a refusal says %d", e.Index)
		}
	}
	for index := range last.Index + 1 {
		entry := covered(t, v, staff("auditor"), vault.EntryPlace{Index: index})
		checkShown(t, v, vault.EntryPlace{Index: index}, entry.Record.Tenant == "demo")
	}
	if tenants["demo"] == 0 || tenants["other"] == 0 || tenants[""] == 0 {
		t.Errorf("the log has entries of %v", tenants)
	}
	checkShown(t, v, vault.EntryPlace{Index: 1 << 40}, false)
	checkShown(t, v, vault.EntryPlace{Replica: uuid.NewString(), Number: 1}, false)
	checkShown(t, v, vault.EntryPlace{Replica: card.Receipt.Replica.String(), Number: 1 << 40}, false)
}

// checkShown asks for an entry as an auditor of the demo tenant.
func checkShown(t *testing.T, v *vault.Vault, at vault.EntryPlace, own bool) {
	t.Helper()
	var want error
	if !own {
		want = vault.ErrEntryNotFound
	}
	got, receipt, err := v.GetEntry(t.Context(), caller("auditor"), at)
	if !errors.Is(err, want) || receipt == (vault.Receipt{}) || !own && got.Record.Body != nil {
		t.Errorf("%+v, own %t: %+v, %v", at, own, got, err)
	}
	proven, proof, _, err := v.ProveEntry(t.Context(), caller("auditor"), at)
	if !errors.Is(err, want) || !own && (proven.Record.Body != nil || proof.Checkpoint != nil) {
		t.Errorf("prove %+v, own %t: %+v, %v", at, own, proven, err)
	}
}

func TestPlacesThatAreNone(t *testing.T) {
	v, _ := newVault(t)
	for _, at := range []vault.EntryPlace{
		{Index: -1}, {Replica: "x"}, {Replica: uuid.Nil.String()}, {Replica: uuid.NewString(), Number: -1},
	} {
		for _, c := range []vault.Caller{caller("auditor"), staff("auditor")} {
			if _, receipt, err := v.GetEntry(t.Context(), c, at); !errors.Is(err, vault.ErrEntryPlace) || receipt == (vault.Receipt{}) {
				t.Errorf("%+v: %v", at, err)
			}
		}
	}
}

// idleSigner signs nothing until it is told to.
type idleSigner struct {
	*localsigner.Signer

	works atomic.Bool
}

func (s *idleSigner) Sign(ctx context.Context, text string) ([]byte, error) {
	if !s.works.Load() {
		return nil, errors.New("the signer is down")
	}
	return s.Signer.Sign(ctx, text)
}

// TestPendingIsSaidToItsOwnerAlone: an entry that no checkpoint covers yet is
// pending for those who may see it, and for nobody else anything.
func TestPendingIsSaidToItsOwnerAlone(t *testing.T) {
	s := newSite(t)
	signer := &idleSigner{Signer: s.signer}
	v := s.replicaSigning(t, s.store, signer)
	createRange(t, v, spec("demo", "99990000001"))
	at := receiptOf(issue(t, v, 1)[0].Receipt)
	unknown := vault.EntryPlace{Replica: uuid.NewString()}
	beyond := vault.EntryPlace{Replica: at.Replica, Number: 1 << 40}
	for name, tc := range map[string]struct {
		caller vault.Caller
		at     vault.EntryPlace
		want   error
	}{
		"its owner":            {caller("auditor"), at, vault.ErrEntryPending},
		"staff":                {staff("auditor"), at, vault.ErrEntryPending},
		"another tenant":       {callerOf("other", "auditor"), at, vault.ErrEntryNotFound},
		"unknown replica":      {caller("auditor"), unknown, vault.ErrEntryNotFound},
		"not there":            {caller("auditor"), beyond, vault.ErrEntryNotFound},
		"staff, unknown":       {staff("auditor"), unknown, vault.ErrEntryNotFound},
		"staff, not there":     {staff("auditor"), beyond, vault.ErrEntryNotFound},
		"the server's own":     {caller("auditor"), vault.EntryPlace{Replica: at.Replica}, vault.ErrEntryNotFound},
		"staff, server's own":  {staff("auditor"), vault.EntryPlace{Replica: at.Replica}, vault.ErrEntryPending},
		"index, no checkpoint": {staff("auditor"), vault.EntryPlace{}, vault.ErrNoCheckpoint},
	} {
		if _, receipt, err := v.GetEntry(t.Context(), tc.caller, tc.at); !errors.Is(err, tc.want) || receipt == (vault.Receipt{}) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	if _, _, err := v.GetCheckpoint(t.Context(), caller("auditor")); !errors.Is(err, vault.ErrNoCheckpoint) {
		t.Errorf("checkpoint: %v", err)
	}
	signer.works.Store(true)
	covered(t, v, caller("auditor"), at)
}

// TestDroppedEntries: staff is told that an entry was dropped, and gets its proof; a
// tenant is told what it is told of any entry that is not there.
func TestDroppedEntries(t *testing.T) {
	v, s := newVault(t)
	at := receiptOf(issue(t, v, 1)[0].Receipt)
	entry := covered(t, v, caller("auditor"), at)
	head, err := s.store.LogHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.DropEntries(t.Context(), head.Term, entry.Index+1, 1000); err != nil {
		t.Fatal(err)
	}
	checkShown(t, v, at, false)
	checkShown(t, v, vault.EntryPlace{Index: entry.Index}, false)
	if _, _, err := v.GetEntry(t.Context(), staff("auditor"), at); !errors.Is(err, vault.ErrEntryDropped) {
		t.Errorf("staff: %v", err)
	}
	dropped, proof, _, err := v.ProveEntry(t.Context(), staff("auditor"), at)
	if err != nil || dropped.Record.Body != nil || dropped.Index != entry.Index {
		t.Fatalf("staff: %+v, %v", dropped, err)
	}
	if _, err := proof.Verify(entry.Record.Body, s.keys(t)...); err != nil {
		t.Error(err)
	}
}

// TestStaffHasNoCards: the door of every card is shut for staff, whatever policy
// says, and the whole log for tenants.
func TestStaffHasNoCards(t *testing.T) {
	v, _ := newVault(t)
	all, err := access.Parse("all.cedar", []byte(`@id("all") permit (principal, action, resource);`))
	if err != nil {
		t.Fatal(err)
	}
	if err := v.SetPolicy(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	card := issue(t, v, 1)[0]
	ctx, c, id := t.Context(), staff("security"), card.Card.ID.String()
	for name, call := range map[string]func() error{
		"detokenize": func() error {
			_, err := v.DetokenizeCards(ctx, c, vault.DetokenizeRequest{Tokens: []string{card.Token}, Purpose: "settlement", View: vault.Full})
			return err
		},
		"get":     func() error { _, _, err := v.GetCard(ctx, c, id); return err },
		"list":    func() error { _, _, _, err := v.ListCards(ctx, c, 0, ""); return err },
		"delete":  func() error { _, err := v.DeleteCard(ctx, c, "", id); return err },
		"ranges":  func() error { _, _, err := v.ListBINRanges(ctx, c); return err },
		"entries": func() error { _, _, _, err := v.ListEntries(ctx, c, vault.EntryQuery{}); return err },
		"tenant reads the log": func() error {
			_, _, err := v.ReadLog(ctx, caller("security"), vault.LogQuery{})
			return err
		},
	} {
		if err := call(); !errors.Is(err, vault.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	results, err := v.IssueCards(ctx, c, []vault.IssueRequest{{BINRange: "demo"}})
	if err != nil || !errors.Is(results[0].Err, vault.ErrDenied) {
		t.Errorf("issue: %+v, %v", results, err)
	}
}

// read returns the indexes of what a query sends until it ends.
func read(t *testing.T, v *vault.Vault, q vault.LogQuery) []int64 {
	t.Helper()
	batches, receipt, err := v.ReadLog(t.Context(), staff("auditor"), q)
	if err != nil || receipt == (vault.Receipt{}) {
		t.Fatal(err)
	}
	var indexes []int64
	for batch, err := range batches {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch.Entries {
			indexes = append(indexes, e.Index)
		}
	}
	return indexes
}

func upTo(from, to int64) []int64 {
	var all []int64
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return all
}

func TestReadLog(t *testing.T) {
	v, s := newVault(t)
	last := covered(t, v, caller("auditor"), receiptOf(issue(t, v, 30)[29].Receipt))
	for _, q := range []vault.LogQuery{{End: 5}, {Start: 3, End: 9}, {Start: 4, End: 4}, {Start: 2, End: 7, Follow: true}, {Start: 1 << 40, End: 1<<40 + 1}} {
		want := upTo(q.Start, q.End)
		if q.Start > last.Index {
			want = nil
		}
		if got := read(t, v, q); !slices.Equal(got, want) {
			t.Errorf("%+v: %v", q, got)
		}
	}
	all := read(t, v, vault.LogQuery{})
	if n := int64(len(all)); n <= last.Index || !slices.Equal(all, upTo(0, n)) {
		t.Errorf("the whole log: %v", all)
	}
	for _, q := range []vault.LogQuery{{Start: -1}, {End: -1}, {Start: 3, End: 2}} {
		if _, receipt, err := v.ReadLog(t.Context(), staff("auditor"), q); !errors.Is(err, vault.ErrLogRange) || receipt == (vault.Receipt{}) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	// Each was recorded once, as staff's and in no tenant.
	recorded := 0
	records, err := s.store.ListEntries(t.Context(), "", vault.EntryPosition{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		e, err := r.Entry()
		if err != nil {
			t.Fatal(err)
		}
		if e.Action == "ReadLog" && e.Principal == staff("auditor").SPIFFE && e.Tenant == "" && e.Policy == "staff-auditor-log" {
			recorded++
		}
	}
	if recorded != 9 {
		t.Errorf("%d entries say that the log was read, want 9", recorded)
	}
}

// TestFollowerIsCutOff: who follows the log gets what comes, until policy says no or
// the log in the database is found to be another.
func TestFollowerIsCutOff(t *testing.T) {
	none, err := access.Parse("none.cedar", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		cut  func(v *vault.Vault, s *site) error
		want error
	}{
		"by policy": {func(v *vault.Vault, _ *site) error { return v.SetPolicy(t.Context(), none) }, vault.ErrDenied},
		"by a rolled back log": {func(_ *vault.Vault, s *site) error {
			s.edit(t, `UPDATE log_head SET size = 1`)
			return nil
		}, vault.ErrAuditLog},
	} {
		t.Run(name, func(t *testing.T) {
			v, s := newVault(t)
			last := covered(t, v, caller("auditor"), receiptOf(issue(t, v, 1)[0].Receipt))
			batches, _, err := v.ReadLog(t.Context(), staff("auditor"), vault.LogQuery{Follow: true})
			if err != nil {
				t.Fatal(err)
			}
			next, done := int64(0), false
			for batch, err := range batches {
				if err != nil {
					if !done || !errors.Is(err, tc.want) {
						t.Errorf("ended with %v, want %v", err, tc.want)
					}
					return
				}
				for _, e := range batch.Entries {
					if e.Index != next {
						t.Fatalf("entry %d follows %d", e.Index, next-1)
					}
					next++
				}
				if next > last.Index && !done {
					done = true
					if err := tc.cut(v, s); err != nil {
						t.Fatal(err)
					}
				}
			}
			t.Error("it ended without saying why")
		})
	}
}
