package review

import (
	"strconv"
	"strings"
)

// Shown returns text as it may stand on a page or in a terminal: printable ASCII
// as it is, everything else escaped, as in Go. Names of callers, tenants and
// purposes are plain ASCII by rule, so what is escaped is from no vault; and no
// two texts are shown alike.
func Shown(text string) string {
	quoted := strconv.QuoteToASCII(text)
	return quoted[1 : len(quoted)-1]
}

// decimal returns n with its digits in groups of three: 1,234,567.
func decimal(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	b.WriteString(sign)
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}
