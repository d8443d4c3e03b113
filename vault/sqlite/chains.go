package sqlite

import (
	"context"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
)

// SealChain implements vault.Tx.
func (t *tx) SealChain(tail audit.Tail) {
	if t.tail == nil || tail.Number > t.tail.Number {
		t.tail = &tail
	}
}

// flushTail writes the tail. A chain's key never changes.
func (t *tx) flushTail() error {
	if t.tail == nil {
		return nil
	}
	_, err := t.exec(`
		INSERT INTO audit_chains (replica, number, head, seal, kek_kind, wrapped) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (replica) DO UPDATE SET number = excluded.number, head = excluded.head, seal = excluded.seal
		WHERE audit_chains.number < excluded.number`,
		t.tail.Replica[:], t.tail.Number, nullableHash(t.tail.Head), nullableHash(t.tail.Seal),
		t.tail.KEKKind, nullableBytes(t.tail.Key))
	return err
}

func scanGrown(r *row) (ledger.Grown, error) {
	tail := audit.Tail{
		Replica: r.uuid(), Number: r.int(), Head: r.hash(), Seal: r.hash(), KEKKind: r.text(), Key: r.bytes(),
	}
	return ledger.Grown{Tail: tail, Next: r.int(), Prev: r.hash()}, nil
}

// ListGrown implements ledger.Store.
func (s *Store) ListGrown(ctx context.Context, limit int) ([]ledger.Grown, error) {
	return read(ctx, s, scanGrown, `
		SELECT c.replica, c.number, c.head, c.seal, c.kek_kind, c.wrapped, coalesce(l.next, 0), l.head
		FROM audit_chains c LEFT JOIN log_chains l ON l.replica = c.replica
		WHERE c.number + 1 <> coalesce(l.next, 0) LIMIT ?`, limit)
}

// ChainRecords implements ledger.Store.
func (s *Store) ChainRecords(ctx context.Context, replica uuid.UUID, number int64, limit int) ([]audit.Record, error) {
	return read(ctx, s, scanEntry, selectEntries+`
		WHERE e.replica = ? AND e.number >= ? ORDER BY e.number LIMIT ?`, replica[:], number, limit)
}
