package archive

import (
	"strconv"
	"unicode/utf8"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/tokenizer/pan"
	"github.com/cardvault/cardvault/vault/audit"
)

// cardData returns the name of the first field of an entry, as bodies call it, with
// what looks like a PAN or track data in it; "" where there is none.
//
// PCI DSS 3.5.1: a PAN is unreadable anywhere it is stored, which includes logs.
//
// Ids and hashes are not searched: in their random digits every PAN occurs some day.
// Nor is a serial number that is one.
func cardData(e *audit.Entry) string {
	for _, field := range [...]struct{ name, text string }{
		{"principal", e.Principal},
		{"tenant", e.Tenant},
		{"action", e.Action},
		{"policy", e.Policy},
		{"purpose", e.Purpose},
		{"view", e.View},
		{"bin_range", e.BINRange},
		{"result", e.Result},
	} {
		if screened(field.text) {
			return field.name
		}
	}
	switch {
	case !hexadecimal(e.CertSerial) && screened(e.CertSerial):
		return "certificate_serial"
	case screened(strconv.Itoa(e.Count)):
		return "count"
	case screened(strconv.FormatInt(e.Index, 10)):
		return "index"
	}
	return ""
}

// screened reports whether the text has card data in it.
func screened(text string) bool {
	return couldHold(text) && tokenizer.Screen(text) != nil
}

// couldHold reports whether there are digits enough for a PAN in the text, which
// hardly ever is so. Those of other scripts are not ASCII.
func couldHold(text string) bool {
	digits := 0
	for i := range len(text) {
		switch c := text[i]; {
		case c >= utf8.RuneSelf:
			return true
		case '0' <= c && c <= '9':
			digits++
		}
	}
	return digits >= pan.MinLength
}

// hexadecimal reports whether text is nothing but digits of base 16.
func hexadecimal(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}
