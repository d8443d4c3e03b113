package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault/audit"
)

// parseWithJSON is a second Parse: encoding/json, which knows nothing of ours,
// reads the body, and only the comparison with Encode is the same.
func parseWithJSON(body []byte) (audit.Entry, bool) {
	var w struct {
		Replica    uuid.UUID `json:"replica"`
		Number     int64     `json:"number"`
		Prev       []byte    `json:"prev"`
		Time       time.Time `json:"time"`
		Principal  string    `json:"principal"`
		CertSerial string    `json:"certificate_serial"`
		Tenant     string    `json:"tenant"`
		Action     string    `json:"action"`
		Decision   string    `json:"decision"`
		Policy     string    `json:"policy"`
		Purpose    string    `json:"purpose"`
		View       string    `json:"view"`
		Card       uuid.UUID `json:"card_id"`
		Key        uuid.UUID `json:"key_id"`
		BINRange   string    `json:"bin_range"`
		RequestID  uuid.UUID `json:"request_id"`
		Result     string    `json:"result"`
		Count      int       `json:"count"`
	}
	if err := json.Unmarshal(body, &w); err != nil {
		return audit.Entry{}, false
	}
	e := audit.Entry{
		Replica: w.Replica, Number: w.Number, Time: w.Time.UTC(),
		Principal: w.Principal, CertSerial: w.CertSerial, Tenant: w.Tenant, Action: w.Action,
		Policy: w.Policy, Purpose: w.Purpose, View: w.View,
		Card: w.Card, Key: w.Key, BINRange: w.BINRange, RequestID: w.RequestID, Result: w.Result, Count: w.Count,
	}
	copy(e.Prev[:], w.Prev)
	if w.Decision == "allow" {
		e.Decision = audit.Allow
	}
	return e, bytes.Equal(e.Encode(), body)
}

// checkParse compares Parse with the second one.
func checkParse(t *testing.T, body []byte) {
	t.Helper()
	want, valid := parseWithJSON(body)
	got, err := audit.Parse(body)
	if (err == nil) != valid {
		t.Fatalf("Parse(%q): %v, but encoding/json says valid=%t", body, err, valid)
	}
	if err != nil {
		if !errors.Is(err, audit.ErrMalformed) || err.Error() != audit.ErrMalformed.Error() {
			t.Fatalf("Parse(%q) says %v", body, err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("Parse(%q) (-encoding/json +ours):\n%s", body, diff)
	}
}

func FuzzParse(f *testing.F) {
	for _, g := range golden() {
		f.Add([]byte(g.body))
	}
	for _, body := range malformed() {
		f.Add([]byte(body))
	}
	f.Fuzz(checkParse)
}

const minimal = `{"v":1,"replica":"00000000-0000-0000-0000-000000000000","number":0,"time":"2026-01-02T03:04:05.000000Z","decision":"deny"}`

// malformed returns bodies that mean something to a lenient reader.
func malformed() []string {
	return []string{
		"", "{", "{}", "null", "\x00", `{"v":1}`,
		minimal + "\n", " " + minimal, minimal + minimal, minimal[:len(minimal)-1],
		edit(`"v":1`, `"v":2`), edit(`"v":1`, `"v":1.0`), edit(`{"v":1,`, `{`), edit(`:1,`, `: 1,`),
		edit(`"number":0`, `"number":-0`), edit(`"number":0`, `"number":00`), edit(`"number":0`, `"number":+1`),
		edit(`"number":0`, `"number":1e2`), edit(`"number":0`, `"number":9223372036854775808`), edit(`"number":0`, `"number":`),
		edit(`,"number":0`, ``), edit(`"number":0`, `"number":0,"number":0`), edit(`"number":0`, `"number":"0"`),
		edit(`00000000-0000`, `000000000000`), edit(`"00000000`, `"urn:uuid:00000000`), edit(`"00000000-`, `"ABCDEF00-`),
		edit(`"00000000-`, `"{0000000-`), edit(`"00000000-0000-0000-0000-000000000000"`, `""`),
		edit(`.000000Z`, `Z`), edit(`.000000Z`, `.0000000Z`), edit(`.000000Z`, `,000000Z`), edit(`.000000Z`, `.000000+00:00`),
		edit(`.000000Z`, `.000000z`), edit(`T03`, ` 03`), edit(`T03:04:05`, `T23:59:60`), edit(`2026-01-02`, `2026-02-30`),
		edit(`"time":"2026-01-02T03:04:05.000000Z"`, `"time":null`),
		edit(`"deny"`, `"Deny"`), edit(`"deny"`, `""`), edit(`"deny"`, `"allow "`), edit(`,"decision":"deny"`, ``),
		edit(`}`, `,"result":""}`), edit(`}`, `,"count":0}`), edit(`}`, `,"card_id":"00000000-0000-0000-0000-000000000000"}`),
		edit(`}`, `,"prev":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`), edit(`}`, `,"unknown":1}`), edit(`}`, `,"Result":"OK"}`),
		edit(`}`, `,"result":"a","view":"b"}`), edit(`}`, `,"result":"\/"}`), edit(`}`, `,"result":"\u0041"}`), edit(`}`, `,"result":"\u001B"}`),
		edit(`}`, `,"result":"\u0008"}`), edit(`}`, `,"result":"\ud800"}`), edit(`}`, `,"result":"`+"\xff"+`"}`), edit(`}`, `,"result":"`+"\n"+`"}`),
		edit(`}`, `,"result":"\q"}`), edit(`}`, `,"result":"\`), edit(`}`, `,"result":"`+strings.Repeat("x", 257)+`"}`),
		edit(`0,"time"`, `1,"prev":"/////////////////////////////////////////////////////","time"`),
		edit(`0,"time"`, `1,"prev":"//////////////////////////////////////////8=","prev":"//////////////////////////////////////////8=","time"`),
		edit(`0,"time"`, `1,"prev":"//////////////////////////////////////////9=","time"`),
		edit(`0,"time"`, `1,"prev":"//////////////////////////////////////////8","time"`),
		edit(`0,"time"`, `1,"prev":"__________________________________________8=","time"`),
		edit(`0,"time"`, `1,"prev":"/w==","time"`), edit(`0,"time"`, `1,"prev":"","time"`),
		edit(`}`, `,"result":"`+strings.Repeat(`\u0000`, audit.MaxBody/6)+`"}`),
	}
}

func edit(from, to string) string { return strings.Replace(minimal, from, to, 1) }

func TestParseRefusesWhatNoEntryEncodesTo(t *testing.T) {
	if _, err := audit.Parse([]byte(minimal)); err != nil {
		t.Fatalf("the body that the others are edited from: %v", err)
	}
	for _, body := range malformed() {
		if e, err := audit.Parse([]byte(body)); !errors.Is(err, audit.ErrMalformed) || e != (audit.Entry{}) {
			t.Errorf("Parse(%q) = %v, %v", body, e, err)
		}
		checkParse(t, []byte(body))
	}
}
