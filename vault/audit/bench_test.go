package audit_test

import (
	"testing"
	"time"

	"github.com/cardvault/cardvault/vault/audit"
)

func BenchmarkEncode(b *testing.B) {
	e := golden()[0].entry
	e.Prev = audit.Hash{1}
	b.ReportAllocs()
	for b.Loop() {
		_ = e.Encode()
	}
}

func BenchmarkParse(b *testing.B) {
	body := []byte(golden()[1].body)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := audit.Parse(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLeafHash(b *testing.B) {
	body := []byte(golden()[0].body)
	b.ReportAllocs()
	for b.Loop() {
		_ = audit.LeafHash(body)
	}
}

func BenchmarkAppend(b *testing.B) {
	c, e, now := audit.Chain{}, golden()[0].entry, time.Now()
	b.ReportAllocs()
	for b.Loop() {
		c, _ = c.Append(e, now)
	}
}

func BenchmarkVerifyChain(b *testing.B) {
	records, _ := chainOf(1000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := audit.VerifyChain(sequence(records)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*len(records))/b.Elapsed().Seconds(), "entries/s")
}
