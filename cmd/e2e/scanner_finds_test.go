package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"testing"
)

// Published test numbers of the lengths that networks use.
var wellKnown = []string{"4242424242424242", "5555555555554444", "378282246310005", "30569309025904", "6011000990139424", "6205500000000000004"}

// TestScannerFindsEveryForm plants PANs by hand-written encodings, which owe nothing to those of the scanner.
func TestScannerFindsEveryForm(t *testing.T) {
	t.Parallel()
	s := newScanner(wellKnown...)
	planted := map[string]string{
		"text":              "x4242424242424242x",
		"JSON number":       `{"pan":4242424242424242}`,
		"reversed":          "2424242424242424",
		"card face":         "4242 4242 4242 4242",
		"hyphens":           "4242-4242-4242-4242",
		"hex":               "x34323432343234323432343234323432x",
		"bytea of uint64":   `\x000f12765df4c9b2`,
		"stack trace":       "main.f(0xf12765df4c9b2, 0x10)",
		"shouted":           "0F12765DF4C9B2",
		"uint64 BE":         "\x00\x0f\x12\x76\x5d\xf4\xc9\xb2",
		"uint64 LE":         "\xb2\xc9\xf4\x5d\x76\x12\x0f\x00",
		"hex of uint64 LE":  "b2c9f45d76120f00",
		"BCD":               "\x42\x42\x42\x42\x42\x42\x42\x42",
		"BCD of 15":         "\x37\x82\x82\x24\x63\x10\x00\x5f",
		"BCD of 15, zero":   "\x03\x78\x28\x22\x46\x31\x00\x05",
		"UTF-16 LE":         "4\x002\x004\x002\x004\x002\x004\x002\x004\x002\x004\x002\x004\x002\x004\x002\x00",
		"UTF-16 BE":         "\x004\x002\x004\x002\x004\x002\x004\x002\x004\x002\x004\x002\x004\x002\x004\x002",
		"PostgreSQL number": "\x92\x10\x92\x10\x92\x10\x92\x10",
		"of 19 digits":      "6205500000000000004",
	}
	for before := range 6 {
		text := append(bytes.Repeat([]byte("~"), before), "4242424242424242|and more"...)
		planted[fmt.Sprint("base64 after ", before)] = base64.StdEncoding.EncodeToString(text)
		planted[fmt.Sprint("base64url after ", before)] = base64.URLEncoding.EncodeToString(text)
	}
	for name, text := range planted {
		if len(s.find([]byte("leading text "+text+" trailing"))) == 0 {
			t.Errorf("%s: not found", name)
		}
		if hits := s.find([]byte(text[:len(text)/2])); len(hits) > 0 {
			t.Errorf("%s: half of it is taken for a PAN, as %s", name, hits[0].name)
		}
	}
}

func TestScannerFindsNothingInNoise(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 4<<20)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	s := newScanner(wellKnown...)
	for _, data := range [][]byte{noise, []byte(base32.StdEncoding.EncodeToString(noise)), make([]byte, 1<<20)} {
		if hits := s.find(data); len(hits) > 0 {
			t.Errorf("found %s", hits[0].name)
		}
	}
}
