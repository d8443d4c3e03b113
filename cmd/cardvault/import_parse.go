package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

// forbidden returns why data of this name is never taken in (PCI DSS 4.0.1, 3.3.1:
// sensitive authentication data is not stored after authorization), or nothing.
func forbidden(name string) string {
	plain := strings.NewReplacer("_", "", "-", "", " ", "", ".", "").Replace(strings.ToLower(name))
	switch {
	case slices.Contains([]string{"cvv", "cvc", "cvn", "cav", "cid", "csc", "pin"}, strings.TrimRight(plain, "12")),
		strings.Contains(plain, "verification"), strings.Contains(plain, "securitycode"), strings.Contains(plain, "pinblock"):
		return lineCode
	case strings.Contains(plain, "track"), strings.Contains(plain, "magstripe"), strings.Contains(plain, "chipdata"):
		return lineTrack
	default:
		return ""
	}
}

// newCSVParser reads a header: the columns pan and expiry, in any order. A column
// is named by its place, because a file without a header has a card there.
func newCSVParser(header string) (cardParser, error) {
	names, ok := splitCSV(header)
	if !ok {
		return nil, usage("begin the input with the line pan,expiry", "line 1: not CSV")
	}
	at := map[string]int{}
	for i, name := range names {
		name = strings.ToLower(strings.TrimSpace(name))
		if reason := forbidden(name); reason != "" {
			return nil, &exitError{
				code: exitUsage, reason: reason, next: "remove the column from the input: it must not be kept",
				err: columnError(i, "holds what is never taken in"),
			}
		}
		if name != "pan" && name != "expiry" {
			return nil, usage("begin the input with the line pan,expiry and leave all other columns out", "%w", columnError(i, "is unknown"))
		}
		if _, twice := at[name]; twice {
			return nil, usage("name each column once", "%w", columnError(i, "is there twice"))
		}
		at[name] = i
	}
	if len(at) != 2 {
		return nil, usage("begin the input with the line pan,expiry", "line 1: a column is missing")
	}
	return func(text []byte) (string, *cardvaultv1.Expiry, string) {
		cells, ok := splitCSV(string(text))
		if !ok || len(cells) != len(names) {
			return "", nil, lineMalformed
		}
		return checkCard(cells[at["pan"]], cells[at["expiry"]])
	}, nil
}

// splitCSV splits one line after RFC 4180.
func splitCSV(line string) ([]string, bool) {
	if !strings.Contains(line, `"`) {
		return strings.Split(line, ","), true
	}
	r := csv.NewReader(strings.NewReader(line))
	cells, err := r.Read()
	if err != nil {
		return nil, false
	}
	_, err = r.Read()
	return cells, errors.Is(err, io.EOF)
}

// parseJSONLine reads one object with the keys pan and expiry, each at most once.
func parseJSONLine(text []byte) (string, *cardvaultv1.Expiry, string) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') || !utf8.Valid(text) {
		return "", nil, lineMalformed
	}
	values := map[string]string{}
	for d.More() {
		key, err := d.Token()
		name, isString := key.(string)
		if err != nil || !isString {
			return "", nil, lineMalformed
		}
		if reason := forbidden(name); reason != "" {
			return "", nil, reason
		}
		if name != "pan" && name != "expiry" {
			return "", nil, lineField
		}
		value, err := d.Token()
		text, isString := value.(string)
		if _, twice := values[name]; twice || err != nil || !isString {
			return "", nil, lineMalformed
		}
		values[name] = text
	}
	if _, err := d.Token(); err != nil {
		return "", nil, lineMalformed
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) || len(values) != 2 {
		return "", nil, lineMalformed
	}
	return checkCard(values["pan"], values["expiry"])
}

// checkCard refuses what cannot stand in a message. Whether the PAN is one, the
// server decides.
func checkCard(number, expires string) (string, *cardvaultv1.Expiry, string) {
	if len(number) > maxImportPAN {
		return "", nil, lineTooLong
	}
	if !utf8.ValidString(number) {
		return "", nil, linePAN // a protobuf string holds UTF-8 alone
	}
	expiry, err := parseExpiry(expires)
	if err != nil || expiry == nil {
		return "", nil, lineExpiry
	}
	return number, expiry, ""
}

// columnError says what is wrong with a column of the header, by its place.
func columnError(index int, what string) error {
	return fmt.Errorf("line 1: column %d %s", index+1, what)
}
