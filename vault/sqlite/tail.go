package sqlite

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
)

// ChainTail implements ledger.Store.
func (s *Store) ChainTail(ctx context.Context, replica uuid.UUID) (audit.Tail, bool, error) {
	chain, err := only(read(ctx, s, scanGrown, `
		SELECT replica, number, head, seal, kek_kind, wrapped, 0, NULL FROM audit_chains WHERE replica = ?`, replica[:]))
	if errors.Is(err, vault.ErrNoRow) {
		return audit.Tail{}, false, nil
	}
	return chain.Tail, err == nil, err
}
