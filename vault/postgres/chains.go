package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
)

// insertSealed adds entries and moves the tail of their chain, in one statement: a
// commit of entries alone stays one round trip. A chain's key never changes.
const insertSealed = `
WITH chain AS (
    INSERT INTO audit_chains (replica, number, head, seal, kek_kind, wrapped) VALUES ($6, $7, $8, $9, $10, $11)
    ON CONFLICT (replica) DO UPDATE SET number = excluded.number, head = excluded.head, seal = excluded.seal
    WHERE audit_chains.number < excluded.number
)` + insertEntries

// tailArgs returns the arguments of insertSealed after those of insertEntries.
func tailArgs(tail *audit.Tail) []any {
	return []any{
		[16]byte(tail.Replica), tail.Number, nullableHash(tail.Head), nullableHash(tail.Seal), tail.KEKKind, tail.Key,
	}
}

// SealChain implements vault.Tx.
func (t *tx) SealChain(tail audit.Tail) {
	if t.tail == nil || tail.Number > t.tail.Number {
		t.tail = &tail
	}
}

const selectGrown = `
SELECT c.replica, c.number, c.head, c.seal, coalesce(c.kek_kind, ''), c.wrapped, coalesce(l.next, 0), l.head
FROM audit_chains c LEFT JOIN log_chains l ON l.replica = c.replica
WHERE c.number + 1 <> coalesce(l.next, 0) LIMIT $1`

func scanGrown(row pgx.CollectableRow) (ledger.Grown, error) {
	var g ledger.Grown
	var hashes [3][]byte
	err := row.Scan((*[16]byte)(&g.Tail.Replica), &g.Tail.Number, &hashes[0], &hashes[1], &g.Tail.KEKKind, &g.Tail.Key,
		&g.Next, &hashes[2])
	for i, hash := range []*audit.Hash{&g.Tail.Head, &g.Tail.Seal, &g.Prev} {
		if err == nil {
			*hash, err = hashOf(hashes[i])
		}
	}
	return g, err
}

// ListGrown implements ledger.Store. It reads all chains there are: one for each
// run of a server.
func (s *Store) ListGrown(ctx context.Context, limit int) ([]ledger.Grown, error) {
	return run(ctx, s, scanGrown, selectGrown, limit)
}

const selectChain = `
SELECT e.number, e.time, e.body, t.name FROM audit_entries e JOIN tenants t ON t.id = e.tenant
WHERE e.replica = $1 AND e.number >= $2 ORDER BY e.number LIMIT $3`

// ChainRecords implements ledger.Store.
func (s *Store) ChainRecords(ctx context.Context, replica uuid.UUID, number int64, limit int) ([]audit.Record, error) {
	return run(ctx, s, scanOf(replica), selectChain, [16]byte(replica), number, limit)
}
