package ship

import (
	"context"
	"crypto/rand"
	"encoding/binary"
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
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails, see crypto/rand
	share := int64(binary.BigEndian.Uint32(random[:]))
	return wait/2 + time.Duration(int64(wait/2)*share>>32)
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
