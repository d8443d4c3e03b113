package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
)

const insertEntries = `
INSERT INTO audit_entries (time, number, tenant, replica, body)
SELECT * FROM unnest($1::int8[], $2::int8[], $3::int4[], $4::uuid[], $5::bytea[])`

// entries returns the arguments of insertEntries.
func (t *tx) entries(ctx context.Context, records []audit.Record) ([]any, error) {
	tenants := make([]int32, len(records))
	for i := range records {
		id, err := t.tenant(ctx, records[i].Tenant)
		if err != nil {
			return nil, err
		}
		tenants[i] = id
	}
	return []any{
		column(records, func(r *audit.Record) int64 { return micros(r.Time) }),
		column(records, func(r *audit.Record) int64 { return r.Number }),
		tenants,
		column(records, func(r *audit.Record) [16]byte { return r.Replica }),
		column(records, func(r *audit.Record) []byte { return r.Body }),
	}, nil
}

const selectEntries = `
SELECT replica, number, time, body FROM audit_entries
WHERE tenant = $1 AND (time, replica, number) >= ($2, $3, $4)
ORDER BY time, replica, number LIMIT $5`

// ListEntries implements vault.Store.
func (s *Store) ListEntries(ctx context.Context, tenant string, from vault.EntryPosition, limit int) ([]audit.Record, error) {
	id, err := s.tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	scan := func(row pgx.CollectableRow) (audit.Record, error) {
		r := audit.Record{Tenant: tenant}
		var time int64
		err := row.Scan((*[16]byte)(&r.Replica), &r.Number, &time, &r.Body)
		r.Time = at(time)
		return r, err
	}
	return run(ctx, s, scan, selectEntries, id, micros(from.Time), [16]byte(from.Replica), from.Number, limit)
}

const selectEntry = `
SELECT e.number, e.time, e.body, t.name FROM audit_entries e JOIN tenants t ON t.id = e.tenant
WHERE e.replica = $1 AND e.number = $2 AND t.name = $3`

// Entry implements vault.Store.
func (s *Store) Entry(ctx context.Context, tenant string, replica uuid.UUID, number int64) (audit.Record, error) {
	return only(run(ctx, s, scanOf(replica), selectEntry, [16]byte(replica), number, tenant))
}

const selectHead = `
SELECT e.number, e.time, e.body, t.name FROM audit_entries e JOIN tenants t ON t.id = e.tenant
WHERE e.replica = $1 ORDER BY e.number DESC LIMIT 1`

// Head implements vault.Store.
func (s *Store) Head(ctx context.Context, replica uuid.UUID) (audit.Record, error) {
	return only(run(ctx, s, scanOf(replica), selectHead, [16]byte(replica)))
}

// scanOf reads entries of one chain.
func scanOf(replica uuid.UUID) pgx.RowToFunc[audit.Record] {
	return func(row pgx.CollectableRow) (audit.Record, error) {
		r := audit.Record{Replica: replica}
		var time int64
		err := row.Scan(&r.Number, &time, &r.Body, &r.Tenant)
		r.Time = at(time)
		return r, err
	}
}
