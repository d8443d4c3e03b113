package vault

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault/access"
)

// binRange returns a range of the tenant.
func (v *Vault) binRange(ctx context.Context, tenant, name string) (BINRangeRow, error) {
	row, err := v.store.BINRange(ctx, tenant, name)
	if errors.Is(err, ErrNoRow) {
		return BINRangeRow{}, ErrBINRangeNotFound.In("bin_range")
	}
	if err != nil {
		return BINRangeRow{}, v.storeError(ctx, err)
	}
	return row, nil
}

// CreateBINRange registers a range and makes its key.
func (v *Vault) CreateBINRange(ctx context.Context, c Caller, requestID string, spec BINRangeSpec) (BINRange, Receipt, error) {
	if malformed := checkRangeID("id", spec.ID); malformed != nil {
		return BINRange{}, Receipt{}, v.Refuse(ctx, c, access.CreateBinRange, malformed)
	}
	g, err := v.guard(ctx, c, access.CreateBinRange, about{binRange: spec.ID})
	if err != nil {
		return BINRange{}, Receipt{}, err
	}
	ch := g.change()
	receipt, err := v.finish(ctx, ch, v.planRange(ctx, ch, g, requestID, spec))
	if err != nil {
		return BINRange{}, receipt, err
	}
	row, err := v.binRange(ctx, c.Tenant, spec.ID)
	return row.binRange(v.now()), receipt, err
}

// planRange makes the change insert a range, or returns why it cannot.
func (v *Vault) planRange(ctx context.Context, ch *change, g grant, requestID string, spec BINRangeSpec) error {
	if err := ch.repeatable(requestID, g, v.now(), spec.bytes()...); err != nil {
		return err
	}
	row, err := spec.row()
	if err != nil {
		return err
	}
	key, err := v.keys.RangeKey(ctx, ch.tenant, spec.ID)
	if err != nil {
		return v.keyError(ctx, err)
	}
	fp, err := v.fingerprintKey(ctx, ch.tenant)
	if err != nil {
		return err
	}
	row.Key, row.State, row.Created = uuid.UUID(key.ID), RangeActive, v.now()
	row.Tag = rangeTag(fp, ch.tenant, row)
	ch.apply = func(ctx context.Context, tx Tx, c *change) error {
		_, err := tx.InsertBINRange(ctx, c.tenant, row)
		switch {
		case errors.Is(err, ErrOverlap):
			return ErrBINRangeOverlap.In("prefix")
		case errors.Is(err, ErrTaken):
			return ErrBINRangeExists.In("id")
		}
		return err
	}
	return nil
}

// GetBINRange returns a range with its fill.
func (v *Vault) GetBINRange(ctx context.Context, c Caller, id string) (BINRange, Receipt, error) {
	var row BINRangeRow
	receipt, err := v.aboutRange(ctx, c, access.GetBinRange, "", id, func(_ *change, found BINRangeRow) error {
		row = found
		return nil
	})
	return row.binRange(v.now()), receipt, err
}

// PauseBINRange stops issuing from an active range, for calls that begin after its
// commit, on any replica.
func (v *Vault) PauseBINRange(ctx context.Context, c Caller, requestID, id string) (BINRange, Receipt, error) {
	return v.moveRange(ctx, c, access.PauseBinRange, requestID, id, RangePaused)
}

// ResumeBINRange lets a paused or stopped range issue again.
func (v *Vault) ResumeBINRange(ctx context.Context, c Caller, requestID, id string) (BINRange, Receipt, error) {
	return v.moveRange(ctx, c, access.ResumeBinRange, requestID, id, RangeActive)
}

// ListBINRanges returns the tenant's ranges in order of id.
func (v *Vault) ListBINRanges(ctx context.Context, c Caller) ([]BINRange, Receipt, error) {
	g, err := v.guard(ctx, c, access.ListBinRanges, about{})
	if err != nil {
		return nil, Receipt{}, err
	}
	ch := g.change()
	rows, err := v.store.ListBINRanges(ctx, ch.tenant)
	if err != nil {
		err = v.storeError(ctx, err)
	}
	ch.entry.Count = len(rows)
	receipt, err := v.finish(ctx, ch, err)
	if err != nil {
		return nil, receipt, err
	}
	ranges := make([]BINRange, len(rows))
	for i, row := range rows {
		ranges[i] = row.binRange(v.now())
	}
	return ranges, receipt, nil
}

// aboutRange guards and records a call about one range; plan says what it does.
func (v *Vault) aboutRange(
	ctx context.Context, c Caller, a access.Action, requestID, id string, plan func(*change, BINRangeRow) error,
) (Receipt, error) {
	if malformed := checkRangeID("id", id); malformed != nil {
		return Receipt{}, v.Refuse(ctx, c, a, malformed)
	}
	g, err := v.guard(ctx, c, a, about{binRange: id})
	if err != nil {
		return Receipt{}, err
	}
	ch := g.change()
	err = ch.repeatable(requestID, g, v.now(), []byte(id))
	var row BINRangeRow
	if err == nil {
		row, err = v.binRange(ctx, ch.tenant, id)
	}
	if err == nil {
		err = plan(ch, row)
	}
	return v.finish(ctx, ch, err)
}

// moveRange changes a range's state.
func (v *Vault) moveRange(ctx context.Context, c Caller, a access.Action, requestID, id string, to BINRangeState) (BINRange, Receipt, error) {
	receipt, err := v.aboutRange(ctx, c, a, requestID, id, func(ch *change, row BINRangeRow) error {
		switch {
		case to == RangeActive && row.State == RangeActive:
			ch.unless = ErrBINRangeActive
		case to == RangePaused:
			ch.unless = row.closed()
		}
		ch.apply = func(ctx context.Context, tx Tx, c *change) error {
			ok, err := tx.SetBINRangeState(ctx, c.tenant, row.Name, row.State, to)
			if err == nil && !ok {
				err = ErrBINRangeChanged
			}
			return err
		}
		return nil
	})
	if err != nil {
		return BINRange{}, receipt, err
	}
	row, err := v.binRange(ctx, c.Tenant, id)
	return row.binRange(v.now()), receipt, err
}
