package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
)

const selectTail = `
SELECT replica, number, head, seal, coalesce(kek_kind, ''), wrapped, 0::bigint, NULL::bytea
FROM audit_chains WHERE replica = $1`

// ChainTail implements ledger.Store.
func (s *Store) ChainTail(ctx context.Context, replica uuid.UUID) (audit.Tail, bool, error) {
	chain, err := only(run(ctx, s, scanGrown, selectTail, [16]byte(replica)))
	if errors.Is(err, vault.ErrNoRow) {
		return audit.Tail{}, false, nil
	}
	return chain.Tail, err == nil, err
}
