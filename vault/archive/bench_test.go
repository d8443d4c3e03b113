package archive_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/cardvault/cardvault/vault/archive"
)

// BenchmarkVerify reads a folder from memory, on all processors and on one.
func BenchmarkVerify(b *testing.B) {
	const size = 100_000
	l := newLog(b, 1).grow(size)
	files := folder(l, size)
	for _, cores := range []int{1, runtime.GOMAXPROCS(0)} {
		b.Run(fmt.Sprintf("cores=%d", cores), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
			o := archive.Options{Keys: verifiers(b, l.vkey)}
			b.ReportAllocs()
			for b.Loop() {
				r, err := archive.Verify(b.Context(), files, o)
				if err != nil || !r.Good() {
					b.Fatal(err, r.Findings)
				}
			}
			rate := float64(b.N) * size / b.Elapsed().Seconds()
			b.ReportMetric(rate, "entries/s")
			b.ReportMetric(rate/float64(cores), "entries/s/core")
		})
	}
}

// BenchmarkExport writes to the disk that tests write to.
func BenchmarkExport(b *testing.B) {
	const size = 100_000
	l := newLog(b, 1).grow(size)
	for b.Loop() {
		a, err := archive.Open(b.TempDir(), l.vkey)
		if err != nil {
			b.Fatal(err)
		}
		for from := int64(0); from < size; from += 1000 {
			if err := a.Append(l.batch(from, from+1000, l.checkpoint(size))); err != nil {
				b.Fatal(err)
			}
		}
		if err := a.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*size/b.Elapsed().Seconds(), "entries/s")
}
