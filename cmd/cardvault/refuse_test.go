package main

import (
	"strings"
	"testing"
)

func TestRefuseCardNumber(t *testing.T) {
	for args, refused := range map[string]bool{
		"card tokenize " + testPAN:                                   true,
		"card tokenize 4242-4242-4242-4242":                          true,
		"card tokenize 4242 4242 4242 4242":                          true,
		"card tokenize 4242-4242 4242-4242 --as x":                   true,
		"card tokenize --pan=" + testPAN:                             true,
		"card tokenize --pan " + testPAN:                             true,
		testPAN:                                                      true,
		"bin create x --prefix " + testPAN:                           true,
		"card tokenize 4242424242424241":                             false,
		"bin create x --first 000000000000 --last 999999999999":      false,
		"bin create x --first=000000000000 --reserve=000000000000":   false,
		"card get 6f1c0f0e-7f0a-4f5e-9b0e-2a6f6f0b8f1d":              false,
		"card get 00000000-0000-0000-0000-000000000000":              false,
		"detokenize tok_3zrDyeBkISQe0KaGJcNl5uHdm --view full":       false,
		"audit list --since 24h --page-size 1000":                    false,
		"card import export-20240101123456.csv --report report.json": false,
	} {
		err := refuseCardNumber(strings.Fields(args))
		if (err != nil) != refused {
			t.Errorf("%s: refused %t, want %t", args, err != nil, refused)
			continue
		}
		if !refused {
			continue
		}
		if told := asExit(err); told.code != exitUsage || strings.Contains(told.line(), "4242") {
			t.Errorf("%s: says %q, code %d", args, told.line(), told.code)
		}
	}
}

// With a Luhn-valid number of every length, and its neighbours.
func TestLooksLikePAN(t *testing.T) {
	for length := 10; length <= 21; length++ {
		payload := strings.Repeat("9", length-1)
		valid := 0
		for check := range 10 {
			if looksLikePAN(payload + string(rune('0'+check))) {
				valid++
			}
		}
		want := 0
		if length >= 12 && length <= 19 {
			want = 1
		}
		if valid != want {
			t.Errorf("%d digits: %d check digits pass, want %d", length, valid, want)
		}
	}
}
