package postgres

import (
	"context"
	"errors"

	"github.com/cardvault/cardvault/vault"
)

const (
	// serverTenant is the number of the tenant "", the server itself.
	serverTenant int32 = 0
	// noTenant is the number of no row: of a tenant for which nothing was written.
	noTenant int32 = -1
)

const selectTenant = `
SELECT id FROM tenants WHERE name = $1`

// tenant returns the number of a tenant to read its rows by.
func (s *Store) tenant(ctx context.Context, name string) (int32, error) {
	if id, ok := s.tenants.Load(name); ok {
		return id.(int32), nil
	}
	id, err := only(run(ctx, s, scanInt[int32], selectTenant, name))
	if errors.Is(err, vault.ErrNoRow) {
		return noTenant, nil
	}
	if err != nil {
		return 0, err
	}
	s.tenants.Store(name, id)
	return id, nil
}

// A number that another transaction takes at the same time makes this wait for
// it, and then insert nothing.
const insertTenant = `
INSERT INTO tenants (id, name) SELECT max(id) + 1, $1 FROM tenants
ON CONFLICT DO NOTHING RETURNING id`

// tenant returns the number of a tenant, and adds the tenant where it is new.
func (t *tx) tenant(ctx context.Context, name string) (int32, error) {
	if id, ok := t.store.tenants.Load(name); ok {
		return id.(int32), nil
	}
	if id, ok := t.tenants[name]; ok {
		return id, nil
	}
	for {
		for _, sql := range []string{selectTenant, insertTenant} {
			id, err := only(collect(ctx, t, scanInt[int32], sql, name))
			if err == nil {
				t.tenants[name] = id
			}
			if !errors.Is(err, vault.ErrNoRow) {
				return id, err
			}
		}
	}
}
