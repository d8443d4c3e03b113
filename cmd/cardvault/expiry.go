package main

import (
	"errors"
	"strconv"
	"strings"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

// errExpiry is returned by parseExpiry if the text has neither form.
var errExpiry = &exitError{
	code: exitUsage, reason: "EXPIRY_INVALID", next: nextSteps["EXPIRY_INVALID"],
	err: errors.New("expiry: want YYYY-MM or MM/YY"),
}

// parseExpiry reads YYYY-MM or MM/YY of this century; empty is no expiry. Whether
// the month exists, the server decides.
func parseExpiry(text string) (*cardvaultv1.Expiry, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // absent is a value of its own on the wire
	}
	year, mon, ok := strings.Cut(text, "-")
	century := 0
	if !ok {
		mon, year, ok = strings.Cut(text, "/")
		century = 2000
	}
	y, errYear := strconv.ParseUint(year, 10, 16)
	m, errMonth := strconv.ParseUint(mon, 10, 8)
	wantYear := 4
	if century != 0 {
		wantYear = 2
	}
	if !ok || errYear != nil || errMonth != nil || len(mon) != 2 || len(year) != wantYear {
		return nil, errExpiry
	}
	return &cardvaultv1.Expiry{Year: int32(y) + int32(century), Month: int32(m)}, nil
}
