package keyring

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Many callers at once get each use once, from as few blocks as it takes.
func TestMeterGivesEachUseOnce(t *testing.T) {
	var reserved int64 // only ever written by one at a time
	m := newMeter(func(_ context.Context, n int64) error { reserved += n; return nil })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if err := m.take(t.Context(), 1000); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if used := reserved - m.left; used != 8*100*1000 {
		t.Errorf("%d uses given out of %d reserved, want 800,000", used, reserved)
	}
	if blocks := reserved / usesBlock; blocks > 13 {
		t.Errorf("%d blocks for 800,000 uses, want 13", blocks)
	}
}

// Who waits behind a store that hangs may leave.
func TestMeterCanBeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		m := newMeter(func(context.Context, int64) error { <-release; return nil })
		go func() {
			if err := m.take(t.Context(), 1); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.take(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("left with %v", err)
		}
		close(release)
		synctest.Wait()
	})
}
