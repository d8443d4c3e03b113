package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/crypto/secret"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
)

// newLedger makes this replica's view of the audit log.
func (v *Vault) newLedger(cfg Config, replica uuid.UUID) (*ledger.Ledger, error) {
	seals := &seals{kek: cfg.KEK, keys: map[string]secret.Bytes{}}
	own := cfg.Ledger
	own.Replica, own.Verify, own.Record = replica, seals.verify, v.recordOwn
	own.Clock, own.Log, own.Meter = cfg.Clock, cfg.Log, cfg.Meter
	return ledger.New(own)
}

// recordOwn writes an audit entry of the server itself.
func (v *Vault) recordOwn(ctx context.Context, entry audit.Entry) (replica uuid.UUID, number int64, err error) {
	c := &change{entry: entry}
	if err := v.journal.commit(ctx, c); err != nil {
		return uuid.Nil, 0, fmt.Errorf("record %s: %w", entry.Action, err)
	}
	return c.out.receipt.Replica, c.out.receipt.Number, nil
}

// runLedger sequences and watches the log until closeLedger.
func (v *Vault) runLedger(ctx context.Context) {
	ctx, v.stopLedger = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(v.ledgerDone)
		v.ledger.Run(ctx)
	}()
}

// closeLedger ends the watch, and where this replica sequences the log it brings
// its own last entry into it. What it does not get to is the next replica's.
func (v *Vault) closeLedger(ctx context.Context) error {
	v.stopLedger()
	select {
	case <-v.ledgerDone:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := errors.Join(v.ledger.Step(ctx), v.ledger.Resign(ctx)); err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	return nil
}
