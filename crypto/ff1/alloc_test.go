//go:build !race

package ff1_test

import "testing"

// Under the race detector sync.Pool drops buffers at random, so only a build without it can count.
func TestDoesNotAllocate(t *testing.T) {
	c, tweak := mustNew(t, make([]byte, 32)), make([]byte, 24)
	allocs := testing.AllocsPerRun(1000, func() {
		y, err := c.Encrypt(123456789, 10, tweak)
		if err != nil {
			t.Error(err)
		}
		if _, err := c.Decrypt(y, 10, tweak); err != nil {
			t.Error(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for Encrypt and Decrypt, want 0", allocs)
	}
}
