package sqlite

import (
	"context"
	"errors"

	"github.com/cardvault/cardvault/vault"
)

const (
	// serverTenant is the number of the tenant "", the server itself.
	serverTenant int64 = 0
	// noTenant is the number of no row: of a tenant for which nothing was written.
	noTenant int64 = -1
)

const selectTenant = `SELECT id FROM tenants WHERE name = ?`

// tenant returns the number of a tenant to read its rows by.
func (s *Store) tenant(ctx context.Context, name string) (int64, error) {
	if id, ok := s.tenants.Load(name); ok {
		return id.(int64), nil
	}
	id, err := only(read(ctx, s, scanInt, selectTenant, name))
	if errors.Is(err, vault.ErrNoRow) {
		return noTenant, nil
	}
	if err != nil {
		return 0, err
	}
	s.tenants.Store(name, id)
	return id, nil
}

// tenant returns the number of a tenant, and adds the tenant where it is new.
func (t *tx) tenant(name string) (int64, error) {
	if id, ok := t.store.tenants.Load(name); ok {
		return id.(int64), nil
	}
	id, err := only(collect(t.conn, scanInt, selectTenant, name))
	if errors.Is(err, vault.ErrNoRow) {
		id, err = only(collect(t.conn, scanInt, `INSERT INTO tenants (name) VALUES (?) RETURNING id`, name))
	}
	return id, err
}
