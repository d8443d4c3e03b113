package tokenizer_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/tokenizer/pan"
)

func TestScreenFindsPANs(t *testing.T) {
	tests := []struct{ name, text string }{
		{"alone", "4111111111111111"},
		{"12 digits", "676770000005"},
		{"14 digits", "30569309025904"},
		{"15 digits", "378282246310005"},
		{"19 digits", "6205500000000000004"},
		{"Mastercard of the 2 series", "2223003122003222"},
		{"UnionPay of the 8 series", "8100000000000002"},
		{"beginning with 9", "9000000000000001"},
		{"in a sentence", "please charge 4111111111111111, thanks"},
		{"between brackets", "(4111111111111111)"},
		{"after a colon", "card:4111111111111111"},
		{"in quotes", `{"pan":"4111111111111111"}`},
		{"after an underscore", "card_4111111111111111"},
		{"after a word and a dash", "ref-4111111111111111"},
		{"after hexadecimal letters and a dash", "cafe-4111111111111111"},
		{"in a URL", "https://example.com/?c=4111111111111111&x=1"},
		{"second number", "1234567 4111111111111111"},
		{"two with a dash", "4111111111111111-4242424242424242"},
		{"in spaces", "4111 1111 1111 1111"},
		{"in dashes", "4111-1111-1111-1111"},
		{"in groups, in a sentence", "my card is 4111 1111 1111 1111 ok"},
		{"with its expiry", "4111 1111 1111 1111 12 25"},
		{"with its code", "4111-1111-1111-1111-123"},
		{"after another group", "0000 4111 1111 1111 1111"},
		{"American Express", "3782 822463 10005"},
		{"Diners Club", "3056-930902-5904"},
		{"19 digits in fours", "6205 5000 0000 0000 004"},
		{"19 digits in two", "620550 0000000000004"},
		{"16 digits behind a plus", "+4111111111111111"},
		{"full-width", "４１１１１１１１１１１１１１１１"},
		{"full-width in groups", "４１１１　１１１１　１１１１　１１１１"},
		{"Arabic-Indic", "٤١١١١١١١١١١١١١١١"},
		{"no-break spaces", "4111\u00a01111\u00a01111\u00a01111"},
		{"en dashes", "4111–1111–1111–1111"},
		{"in a language without spaces", "カード4111111111111111です"},
		{"after NUL", "\x004111111111111111\x00"},
		{"among broken UTF-8", "\xff4111111111111111\xff"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tokenizer.Screen(tt.text)
			if !errors.Is(err, tokenizer.ErrCardData) {
				t.Fatalf("Screen = %v, want ErrCardData", err)
			}
			if strings.Contains(err.Error(), "1111") {
				t.Errorf("the error repeats the number: %v", err)
			}
		})
	}
}

// The digits, spaces and dashes that stand in for the ASCII ones, from the first of each kind to the last.
func TestScreenReadsOtherForms(t *testing.T) {
	zeros := map[string]rune{"full-width": '\uff10', "Arabic-Indic": '\u0660', "Persian": '\u06f0', "Devanagari": '\u0966'}
	for name, zero := range zeros {
		for _, number := range []string{"4111111111111111", "9999999999999999998", "3000000000000004", "5678901234567898"} {
			other := strings.Map(func(r rune) rune { return r - '0' + zero }, number)
			if want, got := tokenizer.Screen(number), tokenizer.Screen(other); !errors.Is(got, tokenizer.ErrCardData) || !errors.Is(want, got) {
				t.Errorf("%s: Screen(%q) = %v", name, other, got)
			}
		}
	}
	for _, separator := range "\u00a0\u2000\u2009\u200a\u202f\u3000\u2010\u2011\u2013\u2014\u2015\u2212\uff0d" {
		text := strings.ReplaceAll("4111 1111 1111 1111", " ", string(separator))
		if err := tokenizer.Screen(text); !errors.Is(err, tokenizer.ErrCardData) {
			t.Errorf("Screen with %U = %v", separator, err)
		}
	}
	for _, separator := range "\u200b\u2016_/,*" {
		text := strings.ReplaceAll("4111 1111 1111 1111", " ", string(separator))
		if err := tokenizer.Screen(text); err != nil {
			t.Errorf("Screen with %U = %v", separator, err)
		}
	}
	for _, track := range []string{"B4111111111111111\uff3eDOE/JANE\uff3e2512101", ";4111111111111111\uff1d2512101"} {
		if err := tokenizer.Screen(track); !errors.Is(err, tokenizer.ErrTrackData) {
			t.Errorf("Screen(%q) = %v", track, err)
		}
	}
}

func TestScreenFindsTrackData(t *testing.T) {
	tests := []struct{ name, text string }{
		{"track 1", "%B4111111111111111^DOE/JANE^2512101000000000000?"},
		{"track 1 without sentinels", "B4111111111111111^DOE/JANE^2512101"},
		{"track 1 without format code", "4111111111111111^DOE/JANE^2512101"},
		{"track 1 with the longest name", "%B4111111111111111^ABCDEFGHIJKLMNOPQRSTUVWXYZ^2512101"},
		{"track 1 without a name", "%B4111111111111111^^2512101"},
		{"track 1 of no valid number", "%B4111111111111112^DOE/JANE^2512101"},
		{"track 1 in a text", "swipe=%B4111111111111111^DOE/JANE^2512101? ok"},
		{"track 1, full-width", "%B4111111111111111＾DOE/JANE＾2512101"},
		{"track 2", ";4111111111111111=25121011234500000000?"},
		{"track 2 with the expiry only", ";4111111111111111=2512?"},
		{"track 2 of no valid number", ";4111111111111112=25121010000"},
		{"track 2 without sentinels", "4111111111111111=25121010000"},
		{"track 2 after letters", "track4111111111111111=25121010000"},
		{"track 2 with 12 digits", ";676770000005=2512?"},
		{"track 2 with 19 digits", ";6205500000000000004=2512?"},
		{"tag 57", "4111111111111111D25121010000F"},
		{"tag 57, lower case", "4111111111111111d25121010000f"},
		{"tag 57 in a text", "57: 4111111111111111D2512101"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tokenizer.Screen(tt.text)
			if !errors.Is(err, tokenizer.ErrTrackData) {
				t.Fatalf("Screen = %v, want ErrTrackData", err)
			}
			if strings.Contains(err.Error(), "1111") || strings.Contains(err.Error(), "DOE") {
				t.Errorf("the error repeats the track: %v", err)
			}
		})
	}
}

// Numbers marked with Luhn pass that check: without the rule named beside them they would be found.
func TestScreenLetsPass(t *testing.T) {
	tests := []struct{ name, text string }{
		{"empty", ""},
		{"name", "Jane Doe-Smith"},
		{"check digit wrong", "4111111111111112"},
		{"11 digits", "41111111112"},
		{"20 digits", "41111111111111111111"},
		{"masked", "411111******1111"},
		{"last four", "card ending 1111"},
		{"inside a word, Luhn", "order4111111111111111"},
		{"word begins with it, Luhn", "4111111111111111x"},
		{"hexadecimal, Luhn", "a4111111111111111f"},
		{"opaque token", "tok_0296tiiBb3U904RIpygpjjwIo"},
		{"digits token", "4000000000000000"},
		{"time in milliseconds, Luhn", "1700000000004"},
		{"time in nanoseconds, Luhn", "1700000000000000004"},
		{"date and time, Luhn", "20251122093003"},
		{"telephone number, Luhn", "+4915112345678"},
		{"IBAN, spaced, Luhn", "DE89 4111 1111 1111 1111 00"},
		{"IBAN, together", "DE89370400440532013000"},
		{"UUID whose last group is a number, Luhn", "01890a5d-ac96-774b-bcce-676770000005"},
		{"UUID of digits only, Luhn", "01890105-1096-7740-8000-676770000005"},
		{"UUID in braces, Luhn", "{01890a5d-ac96-774b-bcce-676770000005}"},
		{"trace id, Luhn", "00-4bf92f3577b34da6a3ce929d0e0e4736-4111111111111111-01"},
		{"groups of no card, Luhn", "41111 11111 11111 1"},
		{"mixed separators, Luhn", "4111-1111 1111-1111"},
		{"two spaces, Luhn", "4111  1111  1111  1111"},
		{"dots, Luhn", "4111.1111.1111.1111"},
		{"group runs on, Luhn", "4111 1111 1111 1111x"},
		{"amount", "1,234,567.89 EUR"},
		{"IPv4", "192.168.100.200"},
		{"equation", "4111111111112=2512101"},
		{"key and number", "id=4111111111111112"},
		{"number, equals, three digits", ";4111111111111112=251"},
		{"hash with a D in it, Luhn", "ab4111111111111111d2512101"},
		{"name longer than a track's", "4111111111111112^ABCDEFGHIJKLMNOPQRSTUVWXYZA^2512"},
		{"one circumflex", "4111111111111112^2"},
		{"20 digits before a circumflex", "41111111111111111112^DOE/JANE^2512"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tokenizer.Screen(tt.text); err != nil {
				t.Errorf("Screen(%q) = %v", tt.text, err)
			}
		})
	}
}

// Request ids are UUIDs: not one may be refused.
func TestScreenLetsUUIDsPass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes")
		uuid := fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
		if rapid.Bool().Draw(t, "digits only") {
			uuid = strings.Map(func(r rune) rune {
				if r >= 'a' {
					return r - 'a' + '0'
				}
				return r
			}, uuid)
		}
		for _, text := range []string{uuid, strings.ToUpper(uuid), "id " + uuid + ".", strings.ReplaceAll(uuid, "-", "")} {
			if err := tokenizer.Screen(text); err != nil {
				t.Fatalf("Screen(%q) = %v", text, err)
			}
		}
	})
}

func TestScreenFindsAPANInAnyText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := rapid.String().Draw(t, "before"), rapid.String().Draw(t, "after")
		number := rapid.SampledFrom([]string{"4111111111111111", "4111 1111 1111 1111", "3782-822463-10005", "676770000005"}).Draw(t, "number")
		if err := tokenizer.Screen(before + "/" + number + "/" + after); err == nil {
			t.Fatal("the number is not found")
		}
	})
}

// Long texts of what each detector looks for. A detector that walked the rest of the text for each of them would not end
// within the test's time.
func TestScreenOfLongTexts(t *testing.T) {
	tests := []struct {
		name, text string
		want       error
	}{
		{"no PAN in one long id", strings.Repeat("4111111111111112-", 60_000) + "a", nil},
		{"PANs in one long id", strings.Repeat("4111111111111112-", 60_000) + "4111111111111111-a", tokenizer.ErrCardData},
		{"UUIDs", strings.Repeat("01890a5d-ac96-774b-bcce-676770000005 ", 30_000), nil},
		{"digits", strings.Repeat("4", 1<<20), nil},
		{"groups", strings.Repeat("4112 ", 200_000), nil},
		{"separators", strings.Repeat("^=D", 300_000), nil},
		{"numbers with separators", strings.Repeat("4111111111111112=", 60_000), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tokenizer.Screen(tt.text); !errors.Is(err, tt.want) {
				t.Errorf("Screen = %v, want %v", err, tt.want)
			}
		})
	}
}

func FuzzScreen(f *testing.F) {
	for _, s := range []string{
		"", "4111111111111111", "%B4111111111111111^DOE/JANE^2512101?", ";4111111111111111=2512101?", "４１１１", "DE89 3704",
		"01890a5d-ac96-774b-bcce-676770000005", "4111-1111-1111-1111", "\xff\xfe^=D", "+4915112345678",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := tokenizer.Screen(s)
		if err != nil && !errors.Is(err, tokenizer.ErrCardData) && !errors.Is(err, tokenizer.ErrTrackData) {
			t.Fatalf("error %v", err)
		}
		if tokenizer.Screen(s+" 4111111111111111 "+s) == nil {
			t.Fatalf("%q hides a PAN beside it", s)
		}
	})
}

// Whatever a range issues from the prefixes of card networks, or of the demonstration, is found.
func TestScreenFindsCardsOfAllNetworks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := pan.Range{
			Prefix: rapid.SampledFrom([]string{
				"222100", "272099", "340000", "352800", "370000", "400000", "510000", "601100", "650000", "810000", "900000", "999999",
			}).Draw(t, "prefix"),
			Length: rapid.IntRange(pan.MinLength, pan.MaxLength).Draw(t, "length"),
		}
		p := r.At(rapid.Uint64Range(0, r.Size()-1).Draw(t, "index"))
		if err := tokenizer.Screen("for " + p.Reveal()); !errors.Is(err, tokenizer.ErrCardData) {
			t.Fatalf("Screen(%s) = %v", p.Reveal(), err)
		}
	})
}
