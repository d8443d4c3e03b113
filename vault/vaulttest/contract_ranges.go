package vaulttest

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault"
)

func rangeCases() []contractCase {
	return []contractCase{
		{"come back as they were registered", rangesRoundTrip},
		{"are each tenant's own, in order of name", rangesOfTenants},
		{"never overlap, in any tenant", rangesOverlap},
		{"never overlap, whoever comes", rangesTogether},
		{"have a name once", rangesNamed},
		{"change state where it is as it was", rangesState},
		{"never share a number with one that is no more", rangesNumbers},
	}
}

func rangesRoundTrip(t *contract) {
	r := newReplica(t, t.open())
	want := newRange("whole", "900001")
	want.Reserved = []vault.Interval{{First: 0, Last: 99}, {First: 5000, Last: 5000}}
	want = r.insertRange(tenant, want)
	if want.Number <= 0 {
		t.Errorf("number = %d, want above 0", want.Number)
	}
	same(t, "range", must(t.open().BINRange(t.Context(), tenant, want.Name))(t), want)
	_, err := r.BINRange(t.Context(), tenant, "unknown")
	is(t, "unknown range", err, vault.ErrNoRow)
}

func rangesOfTenants(t *contract) {
	r := newReplica(t, t.open())
	var want []vault.BINRangeRow
	for i, name := range []string{"a", "a-1", "a1", "aa", "b"} {
		row := newRange(name, "90000"+strconv.Itoa(i))
		want = append(want, r.insertRange(tenant, row))
	}
	theirs := r.insertRange(foreign, newRange("a", "900009"))
	same(t, "ranges", must(r.ListBINRanges(t.Context(), tenant))(t), want)
	same(t, "foreign ranges", must(r.ListBINRanges(t.Context(), foreign))(t), []vault.BINRangeRow{theirs})
	same(t, "ranges of nobody", len(must(r.ListBINRanges(t.Context(), "nobody"))(t)), 0)
	_, err := r.BINRange(t.Context(), foreign, "b")
	is(t, "foreign range", err, vault.ErrNoRow)
	if r.changed(func(ctx context.Context, tx vault.Tx) (bool, error) {
		return tx.SetBINRangeState(ctx, foreign, "b", vault.RangeActive, vault.RangeStopped)
	}) {
		t.Error("another tenant stopped the range")
	}
}

// part returns a range of a prefix for PANs of length digits, from first to last.
func part(name, prefix string, length int16, first, last int64) vault.BINRangeRow {
	row := newRange(name, prefix)
	row.Length, row.First, row.Last = length, first, last
	return row
}

func rangesOverlap(t *contract) {
	r := newReplica(t, t.open())
	r.insertRange(tenant, part("there", "900000", 16, 1_000, 1_999))
	for i, c := range []struct {
		row      vault.BINRangeRow
		overlaps bool
	}{
		{part("same", "900000", 16, 1_000, 1_999), true},
		{part("within", "900000", 16, 1_500, 1_500), true},
		{part("around", "900000", 16, 0, 999_999_999), true},
		{part("first", "900000", 16, 0, 1_000), true},
		{part("last", "900000", 16, 1_999, 5_000), true},
		{part("short-prefix", "9", 16, 0, 99_999_999_999_999), true},
		{part("long-prefix", "90000000000", 16, 1_500, 1_500), true},
		{part("before", "900000", 16, 0, 999), false},
		{part("after", "900000", 16, 2_000, 2_999), false},
		{part("other-length", "900000", 15, 0, 99_999_999), false},
		{part("other-prefix", "900001", 16, 1_000, 1_999), false},
		{part("long-prefix-beside", "90000000001", 16, 0, 9_999), false},
	} {
		for _, owner := range []string{tenant, foreign} {
			row := c.row
			row.Name = fmt.Sprint(owner, i)
			err := r.try(func(ctx context.Context, tx vault.Tx) error {
				_, err := tx.InsertBINRange(ctx, owner, row)
				if err == nil && !c.overlaps {
					err = errOfFn // it fits: do not keep it
				}
				return err
			})
			want := errOfFn
			if c.overlaps {
				want = vault.ErrOverlap
			}
			is(t, owner+" "+c.row.Name, err, want)
		}
	}
	same(t, "ranges", len(must(r.ListBINRanges(t.Context(), tenant))(t)), 1)
}

func rangesTogether(t *contract) {
	const replicas, rounds = 4, 5
	ends := make([]*replica, replicas)
	for i := range ends {
		ends[i] = newReplica(t, t.open())
	}
	for round := range rounds {
		won := make([]bool, replicas)
		together(replicas, func(i int) {
			row := newRange(fmt.Sprintf("r%d-%d", round, i), "90000"+strconv.Itoa(round))
			row.First = int64(i) // not equal, but overlapping
			err := ends[i].try(func(ctx context.Context, tx vault.Tx) error {
				_, err := tx.InsertBINRange(ctx, []string{tenant, foreign}[i%2], row)
				return err
			})
			if err != nil && !errors.Is(err, vault.ErrOverlap) {
				t.Error(err)
			}
			won[i] = err == nil
		})
		same(t, "ranges of one interval", count(won), 1)
	}
}

func rangesNamed(t *contract) {
	r := newReplica(t, t.open())
	r.insertRange(tenant, newRange("name", "900001"))
	r.insertRange(foreign, newRange("name", "900002"))
	for _, prefix := range []string{"900001", "900003"} {
		err := r.try(func(ctx context.Context, tx vault.Tx) error {
			_, err := tx.InsertBINRange(ctx, tenant, newRange("name", prefix))
			return err
		})
		is(t, "range of a taken name", err, vault.ErrTaken)
	}
	// The refusal leaves the transaction fit to go on: it holds the work of others.
	card := newCard()
	r.commit(func(ctx context.Context, tx vault.Tx) error {
		_, err := tx.InsertBINRange(ctx, tenant, newRange("other", "900001"))
		is(t, "range that overlaps", err, vault.ErrOverlap)
		_, err = tx.InsertCards(ctx, tenant, []vault.CardRow{card})
		return err
	})
	same(t, "card beside a refused range", r.card(tenant, card.ID), card)
}

func rangesState(t *contract) {
	r := newReplica(t, t.open())
	want := r.insertRange(tenant, newRange("stateful", "900001"))
	set := func(name string, from, to vault.BINRangeState) bool {
		t.Helper()
		return r.changed(func(ctx context.Context, tx vault.Tx) (bool, error) {
			return tx.SetBINRangeState(ctx, tenant, name, from, to)
		})
	}
	if !set(want.Name, vault.RangeActive, vault.RangePaused) {
		t.Error("the range did not pause")
	}
	if set(want.Name, vault.RangeActive, vault.RangeStopped) || set("unknown", vault.RangeActive, vault.RangePaused) {
		t.Error("a range changed that was in another state")
	}
	want.State = vault.RangePaused
	same(t, "range", must(t.open().BINRange(t.Context(), tenant, want.Name))(t), want)
}

func rangesNumbers(t *contract) {
	r := newReplica(t, t.open())
	seen := map[int32]bool{}
	for i := range 4 {
		row := newRange("r"+strconv.Itoa(i), "90000"+strconv.Itoa(i))
		is(t, "commit that fails", r.try(func(ctx context.Context, tx vault.Tx) error {
			if _, err := tx.InsertBINRange(ctx, tenant, row); err != nil {
				return err
			}
			return errOfFn
		}), errOfFn)
		row = r.insertRange(tenant, row)
		if seen[row.Number] || row.Number == 0 {
			t.Errorf("number %d was given twice, or is none", row.Number)
		}
		seen[row.Number] = true
		card := issuedFrom(row)
		r.insert(tenant, card)
		same(t, "name of the card's range", r.card(tenant, card.ID).BINRange, row.Name)
	}
	_, err := r.takeBlock(uuid.New(), 1_000_000, 10)
	is(t, "block of no range", err, vault.ErrNoRow)
}
