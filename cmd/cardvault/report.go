package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// report prints an error as one line, what (REASON); next step, or as one JSON
// object where a machine reads.
func report(w io.Writer, e *exitError, asJSON bool) {
	if asJSON {
		line, err := json.Marshal(map[string]string{"error": oneLine(e.Error()), "reason": e.reason, "next": e.next})
		if err == nil {
			_, _ = fmt.Fprintf(w, "%s\n", line)
			return
		}
	}
	_, _ = fmt.Fprintf(w, "cardvault: %s\n", e.line())
}

// line puts what, reason and next step together.
func (e *exitError) line() string {
	var b strings.Builder
	b.WriteString(oneLine(e.Error()))
	if e.reason != "" {
		b.WriteString(" (" + oneLine(e.reason) + ")")
	}
	if e.next != "" {
		b.WriteString("; " + e.next)
	}
	return b.String()
}

// oneLine joins lines with semicolons, and keeps an answer from moving the cursor.
func oneLine(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		clean := strings.FieldsFunc(line, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
		if len(clean) > 0 {
			lines = append(lines, strings.Join(clean, " "))
		}
	}
	return strings.Join(lines, "; ")
}

// nextSteps says what a person can do about a reason.
//
//nolint:gochecknoglobals,gosec // a table that nothing writes to, without credentials
var nextSteps = map[string]string{
	"NOT_AUTHENTICATED":   "use a certificate of the server's client CA that is still valid: --cert and --key, or --as NAME",
	"SERVER_NOT_VERIFIED": "check --addr, and give the CA that vouches for that server with --ca",
	"SERVER_UNREACHABLE":  "check that the server runs and that --addr is its address",
	"DEADLINE_EXCEEDED":   "try again, with a longer --timeout if need be",
	"PERMISSION_DENIED":   "call as a principal that policy allows, or have the security team allow this one",

	"REQUEST_ID_MALFORMED": "leave --request-id out to have one made",
	"REQUEST_ID_REUSED":    "leave --request-id out, or repeat the first request exactly",
	"PAGE_SIZE":            "give --page-size 1 to 1000",
	"PAGE_TOKEN_MALFORMED": "copy the whole --page-token that the page before printed",
	"PURPOSE_REQUIRED":     "name one with --purpose",
	"VIEW_REQUIRED":        "name one with --view last-four, masked or full",

	"PAN_LENGTH":             "check the number; a PAN has 12 to 19 digits",
	"PAN_DIGIT":              "give the number as digits alone",
	"PAN_CHECK_DIGIT":        "check the number for a typing error",
	"EXPIRY_INVALID":         "give --expiry as YYYY-MM or MM/YY",
	"EXPIRY_PAST":            "give a month that has not ended",
	"EXPIRY_NOT_LATER":       "give a later month with --expiry",
	"CARD_VERIFICATION_CODE": "remove it: PCI DSS 3.3.1.2 forbids keeping it",
	"TRACK_DATA":             "remove it: PCI DSS 3.3.1.1 forbids keeping it",
	"CARD_DATA":              "remove the card number",

	"CARD_ID_MALFORMED": "card ids are UUIDs: see cardvault card list",
	"CARD_NOT_FOUND":    "see cardvault card list",
	"CARD_SUSPENDED":    "resume it with cardvault card resume CARD",
	"CARD_CLOSED":       "closing is for good: issue another card",
	"CARD_ACTIVE":       "nothing needs to be done",
	"CARD_CHANGED":      "look at the card, then try again",

	"TOKEN_NOT_FOUND": "it may have expired or been revoked: see cardvault token list CARD",
	"TOKEN_USED":      "make another with cardvault token create CARD",
	"TOKEN_MALFORMED": "copy the token whole",
	"TOKEN_OPTIONS":   "see cardvault token create --help",

	"UNAUTHENTICATED":   "use a certificate that has not expired and was not revoked",
	"REQUEST_TOO_LARGE": "send less at once",
	"OVERLOADED":        "try again in a second",

	"BIN_RANGE_ID_MALFORMED": "choose an id such as debit-eu",
	"BIN_RANGE_INVALID":      "see cardvault bin create --help",
	"BIN_RANGE_NOT_FOUND":    "see cardvault bin list",
	"BIN_RANGE_EXISTS":       "choose another id, or see cardvault bin get ID",
	"BIN_RANGE_OVERLAP":      "choose numbers that no other range has",
	"BIN_RANGE_PAUSED":       "resume it with cardvault bin resume ID",
	"BIN_RANGE_STOPPED":      "find the cause in the server's log before cardvault bin resume ID",
	"BIN_RANGE_ACTIVE":       "nothing needs to be done",
	"BIN_RANGE_CHANGED":      "look at the range, then try again",
	"BIN_RANGE_CROWDED":      "try again; if it lasts, issue from another range",
	"BIN_RANGE_EXHAUSTED":    "issue from another range",

	"ENTRY_NOT_FOUND": "check the receipt or index; entries of other tenants are not shown",
	"ENTRY_PENDING":   "try again in a second; if it lasts, the operators check the sequencer",
	"ENTRY_DROPPED":   "look for it in an export of the log that was made before",
	"ENTRY_PLACE":     "give a receipt, REPLICA/NUMBER, or an index from 0",
	"ENTRY_FILTER":    "give a SPIFFE id, the name of an action as entries show it, allow or deny",
	"NO_CHECKPOINT":   "try again in a second; if it lasts, the operators check the signer and the witnesses",
	"TREE_SIZE":       "compare with cardvault audit checkpoint",
	"LOG_RANGE":       "start from 0, and end no earlier than the start",

	"KEY_ROWS_TIME": "leave --rows out",
	"KEY_ROWS_BUSY": "try again when the other list is there, or leave --rows out",

	"AUDIT_LOG_BROKEN": "the operators find in the server's log what was rolled back or forked; keep the database as evidence",
	"SERVER_STOPPING":  "try again: another server takes over",

	"KEYS_UNAVAILABLE":  "try again; if it lasts, the operators check transit",
	"STORE_UNAVAILABLE": "try again; if it lasts, the operators check the store",
	"INTEGRITY":         "the operators find the alarm in the server's log",
	"INTERNAL":          "the operators find the cause in the server's log",
}
