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
SELECT r.id, r.digest, r.card, r.token, r.existing, r.created FROM unnest($2::uuid[]) AS w (id)
CROSS JOIN LATERAL (SELECT * FROM requests WHERE tenant = $1 AND id = w.id OFFSET 0) AS r`
	insertRequests = `
INSERT INTO requests (tenant, id, digest, card, token, existing, created)
SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::bool[], $7::int8[])`
	claimRequests = insertRequests + `
ON CONFLICT DO NOTHING RETURNING id`
	amendRequests = insertRequests + `
ON CONFLICT (tenant, id) DO UPDATE SET card = excluded.card, token = excluded.token, existing = excluded.existing`
	releaseRequest = `
DELETE FROM requests WHERE tenant = $1 AND id = $2`
)

// requestArgs returns the arguments of insertRequests.
func requestArgs(tenant int32, rows []vault.RequestRow) []any {
	return []any{
		tenant,
		column(rows, func(r *vault.RequestRow) [16]byte { return r.ID }),
		column(rows, func(r *vault.RequestRow) [16]byte { return r.Digest }),
		column(rows, func(r *vault.RequestRow) [16]byte { return r.Card }),
		column(rows, func(r *vault.RequestRow) [16]byte { return r.Token }),
		column(rows, func(r *vault.RequestRow) bool { return r.Existing }),
		column(rows, func(r *vault.RequestRow) int64 { return micros(r.Created) }),
	}
}

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
	claimed, err := collect(ctx, t, scanUUID[uuid.UUID], claimRequests, requestArgs(number, rows)...)
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
	_, err = t.each(ctx, releaseRequest, len(ids), func(i int) []any { return []any{number, [16]byte(ids[i])} })
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
	_, err = t.exec(ctx, amendRequests, requestArgs(number, rows)...)
	return err
}
