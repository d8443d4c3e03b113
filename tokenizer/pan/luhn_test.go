package pan_test

import (
	"math"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/tokenizer/pan"
)

func TestCheckDigit(t *testing.T) {
	tests := []struct {
		payload uint64
		want    uint64
	}{
		{0, 0},
		{1, 8},
		{5, 9},               // 5 doubled is 10, its digits add up to 1
		{9, 1},               // 9 doubled is 18, its digits add up to 9
		{7992739871, 3},      // the example of most textbooks
		{411111111111111, 1}, // this and the next two: published test PANs, see IsTestPAN
		{37828224631000, 5},
		{620550000000000000, 4},
		{999999999999999999, 8},
		{math.MaxUint64, 3},
	}
	for _, tt := range tests {
		if got := pan.CheckDigit(tt.payload); got != tt.want {
			t.Errorf("CheckDigit(%d) = %d, want %d", tt.payload, got, tt.want)
		}
	}
}

// luhnByTable is the formula in another shape: a table for doubled digits over the text from the right.
func luhnByTable(number string) bool {
	doubled := [...]int{0, 2, 4, 6, 8, 1, 3, 5, 7, 9}
	sum := 0
	for i := range len(number) {
		digit := int(number[len(number)-1-i] - '0')
		if i%2 == 1 {
			digit = doubled[digit]
		}
		sum += digit
	}
	return sum%10 == 0
}

func TestLuhnValidEqualsTheTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64().Draw(t, "number")
		if got, want := pan.LuhnValid(n), luhnByTable(strconv.FormatUint(n, 10)); got != want {
			t.Fatalf("LuhnValid(%d) = %t, want %t", n, got, want)
		}
	})
}

// What the formula is for: it sees every single wrong digit, and every swap of neighbours but 09 and 90.
func TestLuhnSeesTypingErrors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, digits := anyPAN(t)
		at := rapid.IntRange(0, len(digits)-2).Draw(t, "position")
		wrong := []byte(digits)
		wrong[at] = '0' + (wrong[at]-'0'+byte(rapid.IntRange(1, 9).Draw(t, "shift")))%10
		if _, err := pan.Parse(string(wrong)); err == nil {
			t.Fatalf("%s passes for %s", wrong, digits)
		}
		swapped := []byte(digits)
		swapped[at], swapped[at+1] = swapped[at+1], swapped[at]
		blind := digits[at:at+2] == "09" || digits[at:at+2] == "90" || digits[at] == digits[at+1]
		if _, err := pan.Parse(string(swapped)); (err == nil) != blind {
			t.Fatalf("%s for %s: %v", swapped, digits, err)
		}
	})
}
