package keyring

import (
	"context"
	"fmt"
)

// usesBlock is how many uses are reserved at a time: one durable write for 65,536
// records. What is left of a block is lost when the replica stops, which counts
// 2^16 of 2^30 uses that never were.
const usesBlock = 1 << 16

// meter gives out the uses of one data key from blocks reserved in the store.
type meter struct {
	reserve func(ctx context.Context, n int64) error
	turn    chan struct{} // holds one token while left is being used; a lock that a context can leave
	left    int64
}

func newMeter(reserve func(context.Context, int64) error) *meter {
	return &meter{reserve: reserve, turn: make(chan struct{}, 1)}
}

// take gives n uses, or returns the error of the reservation that they need.
//
// The reservation is durable before the first use of it, and a reservation whose
// outcome is unknown is not used, so the stored count is never below the truth.
func (m *meter) take(ctx context.Context, n int64) error {
	select {
	case m.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("waiting for uses of a key: %w", ctx.Err())
	}
	defer func() { <-m.turn }()

	if m.left < n {
		block := max(n, usesBlock)
		if err := m.reserve(ctx, block); err != nil {
			return fmt.Errorf("reserving uses of a key: %w", err)
		}
		m.left += block
	}
	m.left -= n
	return nil
}
