//go:build !race

package tokenizer_test

import (
	"testing"

	"github.com/cardvault/cardvault/tokenizer"
)

// Only a text that is made is an allocation. (Under the race detector crypto/rand allocates by itself.)
func TestAllocations(t *testing.T) {
	token, p := tokenizer.NewOpaque(), mustPAN(t, "4111111111111111")
	text := token.String()
	tests := []struct {
		name string
		f    func() error
		want float64
	}{
		{"NewOpaque", func() error { token = tokenizer.NewOpaque(); return nil }, 0},
		{"NewDigits", func() error { _, err := tokenizer.NewDigits(p, true); return err }, 0},
		{"String", func() error { _ = token.String(); return nil }, 1},
		{"Parse opaque", func() error { _, err := tokenizer.Parse(text); return err }, 0},
		{"Parse digits", func() error { _, err := tokenizer.Parse("4000000000000000"); return err }, 0},
		{"Parse a PAN", func() error { _, _ = tokenizer.Parse("4111 1111 1111 1111"); return nil }, 0},
		{"Screen", func() error { return tokenizer.Screen("id 4111 1111 1111 1112, 01890a5d-ac96-774b-bcce-676770000005") }, 0},
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
