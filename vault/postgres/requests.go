package postgres

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cardvault/cardvault/vault"
)

const (
	selectRequests = `
SELECT id, digest, card, token, existing, created FROM requests WHERE tenant = $1 AND id = ANY($2)`
	claimRequests = `
INSERT INTO requests (tenant, id, digest, card, token, existing, created)
SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::bool[], $7::int8[])
ON CONFLICT DO NOTHING RETURNING id`
	amendRequests = `
UPDATE requests r SET card = n.card, token = n.token, existing = n.existing
FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::bool[]) AS n (id, card, token, existing)
WHERE r.tenant = $1 AND r.id = n.id`
	releaseRequests = `
DELETE FROM requests WHERE tenant = $1 AND id = ANY($2)`
)

func scanRequest(row pgx.CollectableRow) (vault.RequestRow, error) {
	var r vault.RequestRow
	var created int64
	err := row.Scan((*[16]byte)(&r.ID), &r.Digest, (*[16]byte)(&r.Card), (*[16]byte)(&r.Token), &r.Existing, &created)
	r.Created = at(created)
	return r, err
}

// Requests implements vault.Store.
func (s *Store) Requests(ctx context.Context, tenant string, ids []uuid.UUID) ([]vault.RequestRow, error) {
	number, err := s.tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return run(ctx, s, scanRequest, selectRequests, number, uuids(ids))
}

// ClaimRequests implements vault.Tx.
func (t *tx) ClaimRequests(ctx context.Context, tenant string, rows []vault.RequestRow) ([]vault.RequestRow, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	number, err := t.tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b vault.RequestRow) int { return slices.Compare(a.ID[:], b.ID[:]) })
	claimed, err := collect(ctx, t, scanUUID[uuid.UUID], claimRequests, number,
		column(rows, func(r *vault.RequestRow) [16]byte { return r.ID }),
		column(rows, func(r *vault.RequestRow) [16]byte { return r.Digest }),
		column(rows, func(r *vault.RequestRow) [16]byte { return r.Card }),
		column(rows, func(r *vault.RequestRow) [16]byte { return r.Token }),
		column(rows, func(r *vault.RequestRow) bool { return r.Existing }),
		column(rows, func(r *vault.RequestRow) int64 { return micros(r.Created) }),
	)
	if err != nil || len(claimed) == len(rows) {
		return nil, err
	}
	// A statement of its own sees what was committed while the insert waited for it.
	return collect(ctx, t, scanRequest, selectRequests, number, uuids(unclaimed(rows, claimed)))
}

// unclaimed returns the ids of the rows, in order and each once, for which there
// is no claim left: a row that repeats an id has none.
func unclaimed(rows []vault.RequestRow, claimed []uuid.UUID) []uuid.UUID {
	claims := make(map[uuid.UUID]bool, len(claimed))
	for _, id := range claimed {
		claims[id] = true
	}
	var ids []uuid.UUID
	for i := range rows {
		if !claims[rows[i].ID] {
			ids = append(ids, rows[i].ID)
		}
		delete(claims, rows[i].ID)
	}
	return slices.Compact(ids)
}

// ReleaseRequests implements vault.Tx.
func (t *tx) ReleaseRequests(ctx context.Context, tenant string, ids []uuid.UUID) error {
	if len(ids) == 0 {
		return nil
	}
	number, err := t.tenant(ctx, tenant)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, releaseRequests, number, uuids(ids))
	return err
}

// AmendRequests implements vault.Tx.
func (t *tx) AmendRequests(ctx context.Context, tenant string, rows []vault.RequestRow) error {
	if len(rows) == 0 {
		return nil
	}
	number, err := t.tenant(ctx, tenant)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, amendRequests, number,
		column(rows, func(r *vault.RequestRow) [16]byte { return r.ID }),
		column(rows, func(r *vault.RequestRow) [16]byte { return r.Card }),
		column(rows, func(r *vault.RequestRow) [16]byte { return r.Token }),
		column(rows, func(r *vault.RequestRow) bool { return r.Existing }),
	)
	return err
}
