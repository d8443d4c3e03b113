package vault

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
)

// What is proven here is proven by a checkpoint, so nothing is shown before one
// covers it, and what is shown can be verified by whoever holds the log's public
// key. A tenant's caller sees entries of its own tenant: a foreign entry, one that
// was dropped and one that never was answer alike (P6). Staff sees them all.

// EntryPlace names an entry by its receipt or, where Replica is empty, by its index
// in the log.
type EntryPlace struct {
	// Replica is its UUID as text.
	Replica string
	Number  int64
	Index   int64
}

// asked returns the index for the call's own entry. Where nothing was found it is
// the one asked for: that of a foreign receipt must not show.
func (at EntryPlace) asked(found LogEntry) int64 {
	if at.Replica == "" {
		return max(at.Index, 0)
	}
	return found.Index
}

// LogEntry is an entry of the log and its index.
type LogEntry struct {
	Index int64
	// Record has no Body where the entry was dropped.
	Record audit.Record
}

// GetCheckpoint returns the newest checkpoint, signed.
func (v *Vault) GetCheckpoint(ctx context.Context, c Caller) ([]byte, Receipt, error) {
	g, err := v.guard(ctx, c, access.GetCheckpoint, about{})
	if err != nil {
		return nil, Receipt{}, err
	}
	signed, _, err := v.checkpoint(ctx)
	receipt, err := v.finish(ctx, g.change(), err)
	if err != nil {
		return nil, receipt, err
	}
	return signed, receipt, nil
}

// GetEntry returns one entry of the log. ErrEntryPending: it is durable, and no
// checkpoint covers it yet.
func (v *Vault) GetEntry(ctx context.Context, c Caller, at EntryPlace) (LogEntry, Receipt, error) {
	g, err := v.guard(ctx, c, access.GetEntry, about{})
	if err != nil {
		return LogEntry{}, Receipt{}, err
	}
	ch := g.change()
	entry, err := v.find(ctx, c, at)
	ch.entry.Index = at.asked(entry)
	if err == nil && entry.Record.Body == nil {
		err = ErrEntryDropped
	}
	receipt, err := v.finish(ctx, ch, err)
	if err != nil {
		return LogEntry{}, receipt, err
	}
	return entry, receipt, nil
}

// ProveEntry returns an entry and the proof that the newest checkpoint covers it.
// Of one that was dropped staff gets the proof still: who kept the body can verify
// it.
func (v *Vault) ProveEntry(ctx context.Context, c Caller, at EntryPlace) (LogEntry, audit.Proof, Receipt, error) {
	g, err := v.guard(ctx, c, access.GetInclusionProof, about{})
	if err != nil {
		return LogEntry{}, audit.Proof{}, Receipt{}, err
	}
	ch := g.change()
	var proof audit.Proof
	entry, err := v.find(ctx, c, at)
	ch.entry.Index = at.asked(entry)
	if err == nil {
		proof, err = v.ledger.ProveEntry(ctx, entry.Index)
		err = v.ledgerError(ctx, err)
	}
	receipt, err := v.finish(ctx, ch, err)
	if err != nil {
		return LogEntry{}, audit.Proof{}, receipt, err
	}
	return entry, proof, receipt, nil
}

// Consistency says that the log at one size begins with the log at another.
type Consistency struct {
	First, Second int64
	Proof         tlog.TreeProof
	// Checkpoint is the newest one, where it is of the size Second; else nil.
	Checkpoint []byte
}

// ProveConsistency proves that the log at the size second begins with the log at
// the size first. A second of 0 is the size of the newest checkpoint.
func (v *Vault) ProveConsistency(ctx context.Context, c Caller, first, second int64) (Consistency, Receipt, error) {
	g, err := v.guard(ctx, c, access.GetConsistencyProof, about{})
	if err != nil {
		return Consistency{}, Receipt{}, err
	}
	proven, err := v.consistency(ctx, first, second)
	receipt, err := v.finish(ctx, g.change(), err)
	if err != nil {
		return Consistency{}, receipt, err
	}
	return proven, receipt, nil
}

func (v *Vault) consistency(ctx context.Context, first, second int64) (Consistency, error) {
	signed, newest, err := v.checkpoint(ctx)
	if err != nil {
		return Consistency{}, err
	}
	if second == 0 {
		second = newest.Size
	}
	switch {
	case first < 1 || first > newest.Size:
		return Consistency{}, ErrTreeSize.In("first_size")
	case second < first || second > newest.Size:
		return Consistency{}, ErrTreeSize.In("second_size")
	}
	proven := Consistency{First: first, Second: second}
	if second == newest.Size {
		proven.Checkpoint = signed
	}
	proven.Proof, err = v.ledger.ProveConsistency(ctx, first, second)
	return proven, v.ledgerError(ctx, err)
}

// checkpoint returns the newest one, with what it says.
func (v *Vault) checkpoint(ctx context.Context) ([]byte, audit.Checkpoint, error) {
	signed, c, err := v.ledger.Checkpoint(ctx)
	return signed, c, v.ledgerError(ctx, err)
}

// find returns an entry that a checkpoint covers and the caller may see. Without
// its body, for staff alone, where it was dropped.
func (v *Vault) find(ctx context.Context, c Caller, at EntryPlace) (LogEntry, error) {
	index := at.Index
	if at.Replica != "" {
		var err error
		if index, err = v.indexOf(ctx, c, at); err != nil {
			return LogEntry{}, err
		}
	}
	if index < 0 {
		return LogEntry{}, ErrEntryPlace.In("place")
	}
	found, err := v.ledger.EntryAt(ctx, index)
	if errors.Is(err, ledger.ErrDropped) {
		found, err = ledger.Entry{Index: index}, nil
	}
	if err := v.ledgerError(ctx, err); err != nil {
		return LogEntry{}, err
	}
	if !c.Staff && (found.Record.Body == nil || found.Record.Tenant != c.Tenant) {
		return LogEntry{}, ErrEntryNotFound
	}
	return LogEntry(found), nil
}

// indexOf returns the index of a receipt's entry. Whether an entry without one is
// pending is said to those alone who may see it.
func (v *Vault) indexOf(ctx context.Context, c Caller, at EntryPlace) (int64, error) {
	replica, err := parseID("receipt.replica", at.Replica, ErrEntryPlace)
	if err != nil {
		return 0, err
	}
	if at.Number < 0 {
		return 0, ErrEntryPlace.In("receipt.number")
	}
	index, err := v.ledger.IndexOf(ctx, replica, at.Number)
	if errors.Is(err, ledger.ErrNoEntry) || errors.Is(err, ledger.ErrNoCheckpoint) {
		return 0, v.pending(ctx, c, replica, at.Number)
	}
	return index, v.ledgerError(ctx, err)
}

// pending returns ErrEntryPending where the store has the caller's entry and the
// log does not. A chain grows by consecutive numbers, so for staff any number up to
// the chain's head is there.
func (v *Vault) pending(ctx context.Context, c Caller, replica uuid.UUID, number int64) error {
	var err error
	if c.Staff {
		var head audit.Record
		if head, err = v.store.Head(ctx, replica); err == nil && number > head.Number {
			err = ErrNoRow
		}
	} else {
		_, err = v.store.Entry(ctx, c.Tenant, replica, number)
	}
	switch {
	case errors.Is(err, ErrNoRow):
		return ErrEntryNotFound
	case err != nil:
		return v.storeError(ctx, err)
	default:
		return ErrEntryPending
	}
}

// ledgerError turns an error of the ledger into what a caller is told.
func (v *Vault) ledgerError(ctx context.Context, err error) error {
	var tampered *ledger.TamperedError
	var halted *ledger.HaltedError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ledger.ErrNoCheckpoint):
		return ErrNoCheckpoint
	case errors.Is(err, ledger.ErrNoEntry):
		return ErrEntryNotFound
	case errors.Is(err, ledger.ErrDropped):
		return ErrEntryDropped
	case errors.As(err, &tampered):
		return ErrIntegrity // the ledger has raised the alarm
	case errors.As(err, &halted):
		return ErrAuditLog
	default:
		return v.storeError(ctx, err)
	}
}
