package vault

import (
	"strings"
	"testing"

	"github.com/cardvault/cardvault/tokenizer"
)

// FuzzFields feeds any text to every field's grammar. What gets in holds no card
// data; what does not is never repeated.
func FuzzFields(f *testing.F) {
	for _, seed := range []string{
		"settlement", "demo", "4111111111111111", "a4111111111111111", "a-4111-1111-1111-1111", "737", "7371",
		"%B4111111111111111^DOE/J^9012101123?", ";4111111111111111=9012101123?",
		"6ba7b810-9dad-41d1-80b4-00c04fd430c8", "", " ", "\xff", "４１１１",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, idErr := parseID("id", text, ErrCardID)
		if idErr == nil && id.String() != text {
			t.Error("an id has two texts")
		}
		for name, refusal := range map[string]*Error{
			"purpose": checkPurpose(text), "bin_range": checkRangeID("bin_range", text),
		} {
			if refusal == nil {
				if tokenizer.Screen(text) != nil {
					t.Errorf("%s takes card data in", name)
				}
				continue
			}
			if len(text) > 2 && strings.Contains(refusal.Error(), text) && !strings.Contains(ErrPurpose.Message+ErrBINRangeID.Message+name, text) &&
				!strings.Contains(ErrCardData.Message+ErrTrackData.Message+ErrVerificationCode.Message, text) {
				t.Errorf("%s repeats what it refuses", name)
			}
		}
		if countDigits(text) > maxDigits && (checkRangeID("id", text) == nil || checkPurpose(text) == nil) {
			t.Error("a name can hold a PAN")
		}
	})
}

// FuzzPosition reads page tokens: whatever is accepted has one text.
func FuzzPosition(f *testing.F) {
	f.Add(EntryPosition{}.text())
	f.Add("4111111111111111")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := parsePosition(text); err == nil && p.text() != text {
			t.Error("a position has two texts")
		}
	})
}
