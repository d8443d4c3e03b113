package sqlite

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"zombiezen.com/go/sqlite"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
)

func (t *tx) insertEntries(records []audit.Record) error {
	for i := range records {
		r := &records[i]
		tenant, err := t.tenant(r.Tenant)
		if err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO audit_entries (replica, number, time, tenant, body) VALUES (?, ?, ?, ?, ?)`,
			r.Replica[:], r.Number, micros(r.Time), tenant, r.Body)
		if sqlite.ErrCode(err) == sqlite.ResultConstraintPrimaryKey {
			return fmt.Errorf("audit entry: %w", vault.ErrTaken)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func scanEntry(r *row) (audit.Record, error) {
	return audit.Record{Replica: r.uuid(), Number: r.int(), Time: r.time(), Body: r.bytes(), Tenant: r.text()}, nil
}

const selectEntries = `
SELECT e.replica, e.number, e.time, e.body, t.name FROM audit_entries e JOIN tenants t ON t.id = e.tenant`

// ListEntries implements vault.Store.
func (s *Store) ListEntries(ctx context.Context, tenant string, from vault.EntryPosition, limit int) ([]audit.Record, error) {
	id, err := s.tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return read(ctx, s, scanEntry, selectEntries+`
		WHERE e.tenant = ? AND (e.time, e.replica, e.number) >= (?, ?, ?)
		ORDER BY e.time, e.replica, e.number LIMIT ?`, id, micros(from.Time), from.Replica[:], from.Number, limit)
}

// Entry implements vault.Store.
func (s *Store) Entry(ctx context.Context, tenant string, replica uuid.UUID, number int64) (audit.Record, error) {
	return only(read(ctx, s, scanEntry, selectEntries+`
		WHERE e.replica = ? AND e.number = ? AND t.name = ?`, replica[:], number, tenant))
}

// Head implements vault.Store.
func (s *Store) Head(ctx context.Context, replica uuid.UUID) (audit.Record, error) {
	return only(read(ctx, s, scanEntry, selectEntries+`
		WHERE e.replica = ? ORDER BY e.number DESC LIMIT 1`, replica[:]))
}
