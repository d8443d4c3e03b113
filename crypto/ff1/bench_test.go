package ff1_test

import (
	"fmt"
	"testing"
)

func BenchmarkEncrypt(b *testing.B) {
	for _, digits := range []int{6, 9, 10, 12, 18, 19} {
		for _, tweak := range []int{0, 10, 24} {
			b.Run(fmt.Sprintf("digits=%d/tweak=%d", digits, tweak), func(b *testing.B) {
				c, tweak := mustNew(b, make([]byte, 32)), make([]byte, tweak)
				b.ReportAllocs()
				x := uint64(0)
				for b.Loop() {
					y, err := c.Encrypt(x, digits, tweak)
					if err != nil {
						b.Fatal(err)
					}
					x = y
				}
			})
		}
	}
}

func BenchmarkDecrypt(b *testing.B) {
	c, tweak := mustNew(b, make([]byte, 32)), make([]byte, 10)
	b.ReportAllocs()
	x := uint64(0)
	for b.Loop() {
		y, err := c.Decrypt(x, 10, tweak)
		if err != nil {
			b.Fatal(err)
		}
		x = y
	}
}

func BenchmarkEncryptParallel(b *testing.B) {
	c, tweak := mustNew(b, make([]byte, 32)), make([]byte, 10)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for x := uint64(0); pb.Next(); x++ {
			if _, err := c.Encrypt(x, 10, tweak); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
