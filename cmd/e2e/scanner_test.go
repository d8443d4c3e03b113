package e2e

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/cardvault/cardvault/tokenizer/pan"
)

// scanner finds PANs in every form in which one could leak. It makes one pass over the data, however many PANs it
// knows.
type scanner struct {
	// heads has a bit for every hash of a form's first bytes, so that most places are passed over at once.
	heads [1 << 16]uint64
	forms map[uint32][]form
}

// form is one way to write one PAN.
type form struct {
	name     string // of the encoding
	lastFour string
	bytes    []byte
}

// hit is a form that was found.
type hit struct {
	form
	at int
}

func newScanner(pans ...string) *scanner {
	s := &scanner{forms: map[uint32][]form{}}
	for _, digits := range pans {
		for name, text := range formsOf(digits) {
			head := binary.LittleEndian.Uint32([]byte(text))
			s.heads[bucket(head)/64] |= 1 << (bucket(head) % 64)
			s.forms[head] = append(s.forms[head], form{name, digits[len(digits)-4:], []byte(text)})
		}
	}
	return s
}

func bucket(head uint32) uint32 { return head * 2654435761 >> 10 }

// find returns every form in data. It looks at hundreds of millions of bytes that no other goroutine has, which the
// race detector would watch one by one.
//
//go:norace
func (s *scanner) find(data []byte) []hit {
	var hits []hit
	for i := 0; i+4 <= len(data); i++ {
		head := uint32(data[i]) | uint32(data[i+1])<<8 | uint32(data[i+2])<<16 | uint32(data[i+3])<<24
		if b := bucket(head); s.heads[b/64]&(1<<(b%64)) == 0 {
			continue
		}
		for _, f := range s.forms[head] {
			if len(data)-i >= len(f.bytes) && string(data[i:i+len(f.bytes)]) == string(f.bytes) {
				hits = append(hits, hit{f, i})
			}
		}
	}
	return hits
}

// clean fails the test where data holds a PAN.
func (s *scanner) clean(t testing.TB, where string, data []byte) {
	t.Helper()
	for _, h := range s.find(data) {
		t.Errorf("%s, byte %d: the PAN that ends in %s, as %s, in %q", where, h.at, h.lastFour, h.name,
			data[max(0, h.at-60):min(len(data), h.at+len(h.bytes)+20)])
	}
}

// formsOf returns a PAN in every encoding, by the encoding's name. Each is at least four bytes long.
func formsOf(digits string) map[string]string {
	number, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		panic("formsOf: not a PAN")
	}
	bigEndian := binary.BigEndian.AppendUint64(nil, number)
	littleEndian := binary.LittleEndian.AppendUint64(nil, number)
	forms := map[string]string{
		"digits":           digits,
		"reversed digits":  reversed(digits),
		"hex of digits":    hex.EncodeToString([]byte(digits)),
		"uint64 BE":        string(bigEndian),
		"uint64 LE":        string(littleEndian),
		"varint":           string(binary.AppendUvarint(nil, number)),
		"hex number":       strconv.FormatUint(number, 16),
		"HEX NUMBER":       strings.ToUpper(strconv.FormatUint(number, 16)),
		"hex of uint64 LE": hex.EncodeToString(littleEndian),
		"UTF-16 LE":        wide(binary.LittleEndian, digits),
		"UTF-16 BE":        wide(binary.BigEndian, digits),
		"numeric":          numeric(number),
		"BCD":              bcd(strings.Repeat("0", len(digits)%2) + digits),
		"BCD, filled":      bcd(digits + strings.Repeat("f", len(digits)%2)),
	}
	for _, separator := range []string{" ", "-"} {
		forms["digits grouped by "+strconv.Quote(separator)] = grouped(digits, separator)
	}
	for shift := range 3 {
		forms[fmt.Sprint("base64 of digits, shifted by ", shift)] = base64At(shift, []byte(digits))
		forms[fmt.Sprint("base64 of uint64, shifted by ", shift)] = base64At(shift, bigEndian)
	}
	return forms
}

func reversed(digits string) string {
	b := []byte(digits)
	slices.Reverse(b)
	return string(b)
}

// wide writes two bytes a digit.
func wide(order binary.AppendByteOrder, digits string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(digits)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

// numeric is how PostgreSQL keeps a numeric: groups of four digits from the right, an int16 each.
func numeric(number uint64) string {
	var groups []uint16
	for ; number > 0; number /= 10_000 {
		groups = append(groups, uint16(number%10_000))
	}
	slices.Reverse(groups)
	var b []byte
	for _, group := range groups {
		b = binary.NativeEndian.AppendUint16(b, group)
	}
	return string(b)
}

// bcd packs two digits into a byte.
func bcd(digits string) string {
	b, err := hex.DecodeString(digits)
	if err != nil {
		panic("bcd: not digits")
	}
	return string(b)
}

// grouped writes digits as they stand on a card.
func grouped(digits, separator string) string {
	var groups []string
	for group := range slices.Chunk([]byte(digits), 4) {
		groups = append(groups, string(group))
	}
	return strings.Join(groups, separator)
}

// base64At returns the characters that data has in the base64 of a text in which it begins at a place that is shift
// more than a multiple of three: those that depend on its neighbours are left out.
func base64At(shift int, data []byte) string {
	text := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), data...))
	first := (shift*8 + 5) / 6
	last := (shift + len(data)) * 8 / 6
	return text[first:last]
}

// luhn completes a number with its check digit.
func luhn(t testing.TB, digits string) string {
	t.Helper()
	for check := range 10 {
		if complete := digits + strconv.Itoa(check); valid(complete) {
			return complete
		}
	}
	t.Fatalf("no check digit makes a PAN of %d digits", len(digits))
	return ""
}

func valid(digits string) bool {
	_, err := pan.Parse(digits)
	return err == nil
}
