package tokenizer_test

import (
	"testing"

	"github.com/cardvault/cardvault/tokenizer"
)

func BenchmarkNewOpaque(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_ = tokenizer.NewOpaque()
	}
}

func BenchmarkNewDigits(b *testing.B) {
	p := mustPAN(b, "4111111111111111")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tokenizer.NewDigits(p, true); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkString(b *testing.B) {
	token := tokenizer.NewOpaque()
	b.ReportAllocs()
	for b.Loop() {
		_ = token.String()
	}
}

func BenchmarkParse(b *testing.B) {
	for _, text := range []string{"tok_0296tiiBb3U904RIpygpjjwIo", "4000000000000000"} {
		b.Run(text[:4], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tokenizer.Parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkScreen(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := tokenizer.Screen("refund for order 01890a5d-ac96-774b-bcce-676770000005 of Jane Doe, 4111 1111 1111 1112"); err != nil {
			b.Fatal(err)
		}
	}
}
