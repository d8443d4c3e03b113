package vaulttest

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault"
)

func requestCases() []contractCase {
	return []contractCase{
		{"come back as they were claimed", requestsRoundTrip},
		{"are each tenant's own", requestsOfTenants},
		{"that are taken are answered with what stood", requestsTaken},
		{"are amended and released", requestsAmended},
		{"are claimed once, whoever comes", requestsTogether},
	}
}

func newRequest() vault.RequestRow {
	return vault.RequestRow{ID: uuid.New(), Digest: uuid.New(), Card: uuid.New(), Token: newID(), Created: start()}
}

// claim claims requests and returns those that stood before.
func (r *replica) claim(tenant string, rows ...vault.RequestRow) (taken []vault.RequestRow) {
	r.t.Helper()
	r.commit(func(ctx context.Context, tx vault.Tx) (err error) {
		taken, err = tx.ClaimRequests(ctx, tenant, rows)
		return err
	})
	return taken
}

func requestIDs(rows []vault.RequestRow) []uuid.UUID {
	ids := make([]uuid.UUID, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	return ids
}

func byRequest(rows []vault.RequestRow) []vault.RequestRow {
	slices.SortFunc(rows, func(a, b vault.RequestRow) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return rows
}

func requestsRoundTrip(t *contract) {
	r := newReplica(t, t.open())
	want := []vault.RequestRow{newRequest(), newRequest(), {ID: uuid.New(), Created: start().Add(time.Hour)}}
	want[1].Existing = true
	same(t, "taken", len(r.claim(tenant, want...)), 0)
	ids := append(requestIDs(want), uuid.New())
	same(t, "requests", byRequest(must(t.open().Requests(t.Context(), tenant, ids))(t)), byRequest(want))
	same(t, "requests of none", len(must(r.Requests(t.Context(), tenant, nil))(t)), 0)
	same(t, "claims of none", len(r.claim(tenant)), 0)
}

func requestsOfTenants(t *contract) {
	r := newReplica(t, t.open())
	mine := newRequest()
	theirs := newRequest()
	theirs.ID = mine.ID
	r.claim(tenant, mine)
	same(t, "foreign request", len(must(r.Requests(t.Context(), foreign, []uuid.UUID{mine.ID}))(t)), 0)
	same(t, "taken", len(r.claim(foreign, theirs)), 0)
	r.commit(func(ctx context.Context, tx vault.Tx) error {
		return tx.ReleaseRequests(ctx, foreign, []uuid.UUID{mine.ID})
	})
	same(t, "request", must(r.Requests(t.Context(), tenant, []uuid.UUID{mine.ID}))(t), []vault.RequestRow{mine})
}

func requestsTaken(t *contract) {
	r := newReplica(t, t.open())
	there := newRequest()
	r.claim(tenant, there)
	again, fresh, twice := newRequest(), newRequest(), newRequest()
	again.ID, twice.ID = there.ID, fresh.ID
	taken := newReplica(t, t.open()).claim(tenant, fresh, again, twice)
	same(t, "taken", byRequest(taken), byRequest([]vault.RequestRow{there, fresh}))
	ids := []uuid.UUID{there.ID, fresh.ID}
	same(t, "requests", byRequest(must(r.Requests(t.Context(), tenant, ids))(t)), byRequest([]vault.RequestRow{there, fresh}))
}

func requestsAmended(t *contract) {
	r := newReplica(t, t.open())
	kept, amended, released := newRequest(), newRequest(), newRequest()
	r.commit(func(ctx context.Context, tx vault.Tx) error {
		if _, err := tx.ClaimRequests(ctx, tenant, []vault.RequestRow{kept, amended, released}); err != nil {
			return err
		}
		amended.Card, amended.Token, amended.Existing = uuid.New(), newID(), true
		if err := tx.AmendRequests(ctx, tenant, []vault.RequestRow{amended}); err != nil {
			return err
		}
		return tx.ReleaseRequests(ctx, tenant, []uuid.UUID{released.ID})
	})
	ids := []uuid.UUID{kept.ID, amended.ID, released.ID}
	same(t, "requests", byRequest(must(r.Requests(t.Context(), tenant, ids))(t)), byRequest([]vault.RequestRow{kept, amended}))
	same(t, "taken", len(r.claim(tenant, released)), 0)
	r.commit(func(ctx context.Context, tx vault.Tx) error {
		if err := tx.AmendRequests(ctx, tenant, nil); err != nil {
			return err
		}
		return tx.ReleaseRequests(ctx, tenant, nil)
	})
}

func requestsTogether(t *contract) {
	const replicas, requests = 4, 40
	ends := make([]*replica, replicas)
	for i := range ends {
		ends[i] = newReplica(t, t.open())
	}
	ids := make([]uuid.UUID, requests)
	for i := range ids {
		ids[i] = uuid.New()
	}
	claimed := make([]int, replicas)
	together(replicas, func(i int) {
		rows := make([]vault.RequestRow, requests)
		for j := range rows {
			rows[j] = newRequest()
			rows[j].ID = ids[j*[replicas]int{1, 3, 7, 9}[i]%requests] // each in another order
		}
		if err := ends[i].try(func(ctx context.Context, tx vault.Tx) error {
			taken, err := tx.ClaimRequests(ctx, tenant, rows)
			claimed[i] = requests - len(taken)
			return err
		}); err != nil {
			t.Error(err)
		}
	})
	sum := 0
	for _, n := range claimed {
		sum += n
	}
	same(t, "claims", sum, requests)
}
