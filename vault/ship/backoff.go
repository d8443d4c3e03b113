package ship

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"math/bits"
	"time"
)

// backoff returns how long to wait after so many failures in a row: twice as long
// each time, up to the slowest, and of that a random part between one half and all,
// so that what broke together does not come back together.
func (p pace) backoff(failures int64) time.Duration {
	wait := p.retry
	for i := int64(1); i < failures && wait < p.slowest; i++ {
		wait *= 2
	}
	wait = min(wait, p.slowest)
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails, see crypto/rand
	// The high half of the product is a part of wait/2 in 2^64 steps.
	part, _ := bits.Mul64(uint64(wait/2), binary.BigEndian.Uint64(random[:])) //nolint:gosec // not negative
	return wait/2 + time.Duration(part)                                       //nolint:gosec // at most wait/2
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
