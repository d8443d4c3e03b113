package vault_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
)

// lastOf returns the last record of the chain that a receipt is of.
func (s *site) lastOf(t *testing.T, r vault.Receipt) audit.Record {
	t.Helper()
	last, err := s.store.Head(t.Context(), r.Replica)
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// TestForeignEntryIsNotSealed puts a well-formed entry behind the last one of a living
// replica's chain, as anybody who may write to the database can. The replica does not
// take it for its own: it seals nothing any more, and says why.
func TestForeignEntryIsNotSealed(t *testing.T) {
	v, s := newVault(t)
	receipt := issue(t, v, 1)[0].Receipt
	last := s.lastOf(t, receipt)
	chain, err := audit.ResumeChain(last)
	if err != nil {
		t.Fatal(err)
	}
	forged := audit.Entry{Tenant: "demo", Action: "DetokenizeCard", Decision: audit.Allow, Result: "OK"}
	_, record := chain.Append(forged, s.clock.Now())
	if err := s.store.Commit(t.Context(), func(context.Context, vault.Tx) ([]audit.Record, error) {
		return []audit.Record{record}, nil
	}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err = v.IssueCards(t.Context(), caller("issuer"), requests(1))
		if !errors.Is(err, vault.ErrStoreUnavailable) {
			t.Errorf("answer %v", err)
		}
	}
	tail, ok, err := s.store.ChainTail(t.Context(), receipt.Replica)
	if err != nil || !ok || tail.Number != last.Number {
		t.Errorf("sealed up to %d, the replica's last is %d: %v", tail.Number, last.Number, err)
	}
	if !strings.Contains(s.log.String(), "not its own") {
		t.Error("no alarm")
	}
}

// TestChainGoesOnFromWhatWasWritten edits or deletes the last entry of a living
// replica's chain, and makes its next commit fail, so that it looks where it stands. The
// entry after that follows the one that was acknowledged.
func TestChainGoesOnFromWhatWasWritten(t *testing.T) {
	for name, edit := range map[string]func(t *testing.T, s *site, last audit.Record){
		"deleted": func(t *testing.T, s *site, _ audit.Record) {
			t.Helper()
			s.edit(t, `DELETE FROM audit_entries WHERE number = (SELECT max(number) FROM audit_entries)`)
		},
		"replaced": func(t *testing.T, s *site, last audit.Record) {
			t.Helper()
			s.edit(t, `DELETE FROM audit_entries WHERE number = (SELECT max(number) FROM audit_entries)`)
			e, err := last.Entry()
			if err != nil {
				t.Fatal(err)
			}
			e.Principal = "spiffe://dev.test/tenant/demo/nobody"
			last.Body = e.Encode()
			if err := s.store.Commit(t.Context(), func(context.Context, vault.Tx) ([]audit.Record, error) {
				return []audit.Record{last}, nil
			}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			store := &faultyStore{Store: s.store}
			v := s.replica(t, store)
			createRange(t, v, spec("demo", "99990000001"))
			last := s.lastOf(t, issue(t, v, 1)[0].Receipt)
			edit(t, s, last)
			store.inject(func(context.Context, vault.Store, commitFunc) error { return vault.ErrUnknownOutcome })
			if _, err := v.IssueCards(t.Context(), caller("issuer"), requests(1)); !errors.Is(err, vault.ErrStoreUnavailable) {
				t.Fatal(err)
			}
			next := s.lastOf(t, issue(t, v, 1)[0].Receipt)
			e, err := next.Entry()
			if err != nil || e.Number != last.Number+1 || e.Prev != audit.LeafHash(last.Body) {
				t.Errorf("entry %d follows %x, want %d after %x: %v", e.Number, e.Prev, last.Number+1, audit.LeafHash(last.Body), err)
			}
		})
	}
}

// TestCommitThatLandsLate is done long after it was given up, and others in its place
// were too. The chain goes on behind it.
func TestCommitThatLandsLate(t *testing.T) {
	s := newSite(t)
	store := &faultyStore{Store: s.store}
	v := s.replica(t, store)
	createRange(t, v, spec("demo", "99990000001"))
	replica := issue(t, v, 1)[0].Receipt.Replica
	var late []audit.Record
	for i := range 3 {
		store.inject(func(ctx context.Context, store vault.Store, fn commitFunc) error {
			giveUp := errors.New("given up")
			err := store.Commit(ctx, func(ctx context.Context, tx vault.Tx) ([]audit.Record, error) {
				records, err := fn(ctx, tx)
				if i == 1 {
					late = records
				}
				return nil, errors.Join(err, giveUp)
			})
			if !errors.Is(err, giveUp) {
				t.Error(err)
			}
			return vault.ErrUnknownOutcome
		})
		if _, err := v.IssueCards(t.Context(), caller("issuer"), requests(i+1)); !errors.Is(err, vault.ErrStoreUnavailable) {
			t.Fatal(err)
		}
	}
	if err := s.store.Commit(t.Context(), func(context.Context, vault.Tx) ([]audit.Record, error) { return late, nil }); err != nil {
		t.Fatal(err)
	}
	receipt := issue(t, v, 1)[0].Receipt
	if want := late[len(late)-1].Number + 1; receipt.Replica != replica || receipt.Number != want {
		t.Errorf("receipt %d, want %d", receipt.Number, want)
	}
	checkChains(t, v)
}

// TestFirstCommitFails before the store hears of it: the replica does not start, and the
// last entry it writes all the same begins a chain of its own.
func TestFirstCommitFails(t *testing.T) {
	s := newSite(t)
	store := &faultyStore{Store: s.store}
	store.inject(func(context.Context, vault.Store, commitFunc) error { return vault.ErrUnknownOutcome })
	policy, err := access.Parse("demo.cedar", access.DemoPolicy())
	if err != nil {
		t.Fatal(err)
	}
	_, err = vault.New(t.Context(), vault.Config{
		Store: store, KEK: s.kek, KeyMaxAge: time.Hour, DataCryptoperiod: time.Hour,
		Ledger: ledger.Config{Store: s.store, Signer: s.signer, Origin: logOrigin},
		Policy: policy, Clock: s.clock.Now, Log: slog.New(slog.NewJSONHandler(s.log, nil)),
	})
	if err == nil {
		t.Fatal("it started")
	}
	grown, err := s.store.ListGrown(t.Context(), 10)
	if err != nil || len(grown) != 1 || grown[0].Tail.Replica == uuid.Nil || grown[0].Tail.Number != 0 {
		t.Errorf("chains %+v, %v", grown, err)
	}
}
