package vault

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/crypto/fingerprint"
	"github.com/cardvault/cardvault/tokenizer/pan"
)

// numbers are the PANs of a range in the order in which they are issued:
//
//	PAN_i = prefix ‖ π_K(i) ‖ check digit
//
// Without the range's key the order tells nothing: who knows some cards of a range
// knows nothing of the others.
type numbers struct {
	of   pan.Range
	perm *pan.Permutation
}

var (
	errRangeKey = errors.New("the active key is not the one that the range was made with")
	errRangeTag = errors.New("a range's row was altered")
)

// epoch is the permutation's generation; a new one follows a new range key.
const epoch = 0

// numbers returns the PANs of a range whose row is as the vault wrote it.
func (v *Vault) numbers(ctx context.Context, tenant string, row BINRangeRow, fp *fingerprint.Key) (*numbers, error) {
	if rangeTag(fp, tenant, row) != row.Tag {
		v.alarms.raise(ctx, "BIN range altered", errRangeTag, slog.String("tenant", tenant), slog.String("bin_range", row.Name))
		return nil, ErrIntegrity
	}
	of, err := row.pans()
	if err != nil {
		return nil, fmt.Errorf("BIN range %s: %w", row.Name, err)
	}
	key, err := v.keys.RangeKey(ctx, tenant, row.Name)
	if err != nil {
		return nil, v.keyError(ctx, err)
	}
	if uuid.UUID(key.ID) != row.Key {
		v.alarms.raise(ctx, "BIN range key changed", errRangeKey, slog.String("tenant", tenant), slog.String("bin_range", row.Name))
		return nil, ErrIntegrity
	}
	perm, err := v.orders.of(uuid.UUID(key.ID), func() (*pan.Permutation, error) {
		tweak := binary.BigEndian.AppendUint32(nil, uint32(row.Number)) //nolint:gosec // numbers are positive
		tweak = binary.BigEndian.AppendUint32(tweak, epoch)
		return pan.NewPermutation(key.Secret, of.Size(), tweak)
	})
	if err != nil {
		return nil, fmt.Errorf("BIN range %s: %w", row.Name, err)
	}
	return &numbers{of, perm}, nil
}

// at returns the i-th PAN, or false where it is reserved or one of the published
// test PANs, which are never issued.
func (n *numbers) at(i int64) (pan.PAN, bool) {
	j := n.perm.At(uint64(i)) //nolint:gosec // i is a counter from 0
	if n.of.IsReserved(j) {
		return pan.PAN{}, false
	}
	p := n.of.At(j)
	return p, !pan.IsTestPAN(p)
}

// maxOrders bounds the permutations kept: a small range's takes four bytes a
// number.
const maxOrders = 64

// orders keeps permutations by the id of their key, because the order of a small
// range is laid out at once. Keeping one does not outlive its key: numbers asks
// the key ring each time before it looks here.
type orders struct {
	mu   sync.Mutex
	byID map[uuid.UUID]*pan.Permutation
}

func (o *orders) of(key uuid.UUID, lay func() (*pan.Permutation, error)) (*pan.Permutation, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if perm, ok := o.byID[key]; ok {
		return perm, nil
	}
	perm, err := lay()
	if err != nil {
		return nil, err
	}
	if len(o.byID) >= maxOrders {
		clear(o.byID)
	}
	o.byID[key] = perm
	return perm, nil
}
