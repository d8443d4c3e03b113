package pan_test

import (
	"testing"

	"github.com/cardvault/cardvault/tokenizer/pan"
)

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := pan.Parse("4111111111111111"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnpack(b *testing.B) {
	packed := mustParse(b, "4111111111111111").Pack()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := pan.Unpack(packed[:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckDigit(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_ = pan.CheckDigit(411111111111111)
	}
}

// A PAN is one allocation of eight bytes, the number that it hides; nothing else on its way allocates.
func TestAllocations(t *testing.T) {
	packed := mustParse(t, "4111111111111111").Pack()
	p := mustParse(t, "4111111111111111")
	tests := []struct {
		name string
		f    func() error
		want float64
	}{
		{"Parse", func() error { _, err := pan.Parse("4111111111111111"); return err }, 1},
		{"Unpack", func() error { _, err := pan.Unpack(packed[:]); return err }, 1},
		{"refused", func() error { _, _ = pan.Parse("4111111111111112"); return nil }, 0},
		{"Pack", func() error { packed = p.Pack(); return nil }, 0},
		{"Equal", func() error { _ = p.Equal(p); return nil }, 0},
		{"IsTestPAN", func() error { _ = pan.IsTestPAN(p); return nil }, 0},
		{"Reveal", func() error { _ = p.Reveal(); return nil }, 1},
	}
	for _, tt := range tests {
		got := testing.AllocsPerRun(100, func() {
			if err := tt.f(); err != nil {
				t.Error(err)
			}
		})
		if got > tt.want {
			t.Errorf("%s allocates %v times, want %v", tt.name, got, tt.want)
		}
	}
}
