package access_test

import (
	"strconv"
	"testing"

	"github.com/cardvault/cardvault/vault/access"
)

// BenchmarkDecide is the hot path: a request asked before.
func BenchmarkDecide(b *testing.B) {
	p := parse(b, string(access.DemoPolicy()))
	r := access.Request{Tenant: "demo", Principal: "payments", Action: access.DetokenizeCard, Purpose: "settlement", View: "FULL"}
	b.ReportAllocs()
	for b.Loop() {
		if !p.Decide(r).Allowed {
			b.Fatal("denied")
		}
	}
}

func BenchmarkDecideParallel(b *testing.B) {
	p := parse(b, string(access.DemoPolicy()))
	r := access.Request{Tenant: "demo", Principal: "payments", Action: access.DetokenizeCard, Purpose: "settlement", View: "FULL"}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if !p.Decide(r).Allowed {
				b.Error("denied")
			}
		}
	})
}

// BenchmarkDecideFirst evaluates the policy each time.
func BenchmarkDecideFirst(b *testing.B) {
	p := parse(b, string(access.DemoPolicy()))
	r := access.Request{Tenant: "demo", Principal: "payments", Action: access.DetokenizeCard, View: "FULL"}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Purpose = strconv.Itoa(i)
		if p.Decide(r).Allowed {
			b.Fatal("allowed")
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		parse(b, string(access.DemoPolicy()))
	}
}
