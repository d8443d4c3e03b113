package ship_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/octetcounting"
	"github.com/leodido/go-syslog/v4/rfc5424"

	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ship"
)

// What receivers were set up for does not change by accident.
func TestEncodings(t *testing.T) {
	e := events("s", 3, 4)[0]
	dropped := ship.Event{Index: 4, Leaf: audit.Hash{1}}
	for name, want := range map[string]struct{ entry, dropped string }{
		"jsonl": {
			`{"index":3,"entry":` + string(e.Body) + `}`,
			`{"index":4,"entry":null,"leaf_hash":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`,
		},
		"cef": {
			`CEF:0|cardvault|cardvault|1|DetokenizeCard|DetokenizeCard was denied|5|externalId=3` +
				` CardvaultAuditLeafHash=` + strings.ReplaceAll(e.Leaf.String(), "=", `\=`) + ` rt=1769903403123 outcome=failure` +
				` CardvaultAuditReplica=` + e.Entry.Replica.String() + ` CardvaultAuditNumber=3` +
				` suser=spiffe://cards.example.com/tenant/shop/checkout CardvaultAuditCertificateSerial=0a1b cs1=shop cs1Label=tenant` +
				` CardvaultAuditAction=DetokenizeCard act=deny cs2=settlement cs2Label=purpose cs3=FULL cs3Label=view` +
				` cs4=` + e.Entry.Card.String() + ` cs4Label=card_id CardvaultAuditKeyId=` + e.Entry.Key.String() +
				` cs6=debit-eu cs6Label=bin_range CardvaultAuditRequestId=` + e.Entry.RequestID.String() + ` reason=PERMISSION_DENIED`,
			`CEF:0|cardvault|cardvault|1|Dropped|entry dropped by the retention policy|1|externalId=4` +
				` CardvaultAuditLeafHash=AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\=`,
		},
		"ocsf": {
			`{"activity_id":2,"activity_name":"Read","category_uid":6,"category_name":"Application Activity","class_uid":6003,` +
				`"class_name":"API Activity","type_uid":600302,"type_name":"API Activity: Read","severity_id":3,"severity":"Medium",` +
				`"status_id":2,"status":"Failure","status_code":"PERMISSION_DENIED","time":1769903403123,` +
				`"message":"DetokenizeCard was denied","metadata":{"version":"1.3.0","product":{"name":"cardvault","vendor_name":"cardvault"},` +
				`"uid":"` + e.Entry.Replica.String() + `/3","sequence":3,"log_name":"audit","event_code":"DetokenizeCard","tenant_uid":"shop"},` +
				`"actor":{"user":{"name":"spiffe://cards.example.com/tenant/shop/checkout","uid":"spiffe://cards.example.com/tenant/shop/checkout",` +
				`"credential_uid":"0a1b","type_id":1,"type":"User"}},"api":{"operation":"DetokenizeCard","service":{"name":"cardvault"},` +
				`"request":{"uid":"` + e.Entry.RequestID.String() + `"},"response":{"error":"PERMISSION_DENIED"}},` +
				`"src_endpoint":{"name":"spiffe://cards.example.com/tenant/shop/checkout"},"resources":[{"type":"card_id","uid":"` +
				e.Entry.Card.String() + `"},{"type":"key_id","uid":"` + e.Entry.Key.String() + `"},{"type":"bin_range","uid":"debit-eu"}],` +
				`"raw_data":` + strconv.Quote(string(e.Body)) + `,"unmapped":{"decision":"deny","leaf_hash":"` + e.Leaf.String() +
				`","number":"3","purpose":"settlement","replica":"` + e.Entry.Replica.String() + `","view":"FULL"}}`,
			`{"activity_id":99,"activity_name":"Other","category_uid":6,"category_name":"Application Activity","class_uid":6003,` +
				`"class_name":"API Activity","type_uid":600399,"type_name":"API Activity: Other","severity_id":1,"severity":"Informational",` +
				`"status_id":1,"status":"Success","time":0,"message":"entry dropped by the retention policy",` +
				`"metadata":{"version":"1.3.0","product":{"name":"cardvault","vendor_name":"cardvault"},"sequence":4,"log_name":"audit","event_code":"Dropped"},` +
				`"actor":{"user":{"name":"cardvault","type_id":3,"type":"System"}},"api":{"operation":"Dropped","service":{"name":"cardvault"}},` +
				`"src_endpoint":{"name":"cardvault","svc_name":"cardvault"},"unmapped":{"leaf_hash":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}`,
		},
	} {
		if got := string(ship.Encoders()[name](nil, &e)); got != want.entry {
			t.Errorf("%s: got\n%s, want\n%s", name, got, want.entry)
		}
		if got := string(ship.Encoders()[name](nil, &dropped)); got != want.dropped {
			t.Errorf("%s, dropped: got\n%s, want\n%s", name, got, want.dropped)
		}
	}
	got := string(ship.AppendSyslog(nil, &dropped, "", ship.AppendJSON))
	want := `<110>1 - - cardvault - Dropped [cardvault@32473 log_index="4" leaf_hash="AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] ` +
		`{"index":4,"entry":null,"leaf_hash":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`
	if got != want {
		t.Errorf("syslog: got\n%s, want\n%s", got, want)
	}
}

// texts adds what injections are made of.
func texts(f *testing.F) {
	f.Helper()
	for _, text := range []string{
		"", "plain", "a|b\\c=d", "a\nCEF:0|x|y|1|z|w|9|", "\r\n<13>1 - - - - - - forged", `"] [x@1 y="z"]`, `\`, `\\`, `a\`, " a=b cs1=c ", "=", "|",
		`"`, `]`, `","decision":"allow`, "\x00\x1b[2J", "\u2028\u2029\u0085\u007f", "\xff\xfe", "\uFEFFbom", "žluťoučký 字", strings.Repeat("x", 300), "{}",
	} {
		f.Add(text, text, "GetCard", text, int64(7))
		f.Add("spiffe://a/tenant/b/c", "b", text, "OK", int64(1<<53))
	}
}

// fuzzed is an entry that says what the fuzzer says. Like every entry it went through Encode and Parse.
func fuzzed(t *testing.T, principal, text, action, result string, index int64) ship.Event {
	t.Helper()
	in := testEntry("s", max(0, index))
	in.Time = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	in.Principal, in.Action, in.Result, in.Tenant, in.Purpose, in.Policy, in.View, in.BINRange = principal, action, result, text, text, text, text, text
	body := in.Encode()
	e, err := audit.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	return ship.Event{Index: max(0, index), Body: body, Leaf: audit.LeafHash(body), Entry: e}
}

// said is what a reader has to find of an entry, by names of a body.
func said(e *ship.Event) map[string]string {
	a := &e.Entry
	all := map[string]string{
		"replica": a.Replica.String(), "number": strconv.FormatInt(a.Number, 10), "principal": a.Principal,
		"certificate_serial": a.CertSerial, "tenant": a.Tenant, "action": a.Action, "decision": a.Decision.String(), "policy": a.Policy,
		"purpose": a.Purpose, "view": a.View, "card_id": a.Card.String(), "key_id": a.Key.String(), "bin_range": a.BINRange,
		"request_id": a.RequestID.String(), "result": a.Result,
	}
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return all
}

// visible is a value without what formats cannot carry.
func visible(text, keep string) string {
	return strings.Map(func(r rune) rune {
		if (unicode.IsControl(r) || r == '\u2028' || r == '\u2029') && !strings.ContainsRune(keep, r) {
			return utf8.RuneError
		}
		return r
	}, text)
}

// isLine fails where a reader of lines, of whatever kind, would see more than one, or a terminal a command.
func isLine(t *testing.T, line []byte) {
	t.Helper()
	if !utf8.Valid(line) || bytes.ContainsFunc(line, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }) {
		t.Fatalf("not a line of text: %q", line)
	}
}

func FuzzCEF(f *testing.F) {
	texts(f)
	f.Fuzz(func(t *testing.T, principal, text, action, result string, index int64) {
		e := fuzzed(t, principal, text, action, result, index)
		line := ship.AppendCEF(nil, &e)
		isLine(t, line)
		header, extension, err := readCEF(string(line))
		if err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		if want := []string{"0", "cardvault", "cardvault", "1", visible(e.Entry.Action, "")}; !slices.Equal(header[:5], want) {
			t.Fatalf("header is %q, want %q", header, want)
		}
		want := map[string]string{
			"externalId": strconv.FormatInt(e.Index, 10), "CardvaultAuditLeafHash": e.Leaf.String(),
			"rt": strconv.FormatInt(e.Entry.Time.UnixMilli(), 10), "outcome": extension["outcome"],
		}
		labels := map[string]string{"tenant": "cs1", "purpose": "cs2", "view": "cs3", "card_id": "cs4", "policy": "cs5", "bin_range": "cs6"}
		plain := map[string]string{
			"principal": "suser", "decision": "act", "result": "reason", "replica": "CardvaultAuditReplica", "number": "CardvaultAuditNumber",
			"certificate_serial": "CardvaultAuditCertificateSerial", "action": "CardvaultAuditAction", "key_id": "CardvaultAuditKeyId",
			"request_id": "CardvaultAuditRequestId",
		}
		for name, value := range said(&e) {
			key := plain[name]
			if label, ok := labels[name]; ok {
				key, want[label+"Label"] = label, name
			}
			want[key] = visible(value, "\r\n")
		}
		if !maps.Equal(extension, want) {
			t.Fatalf("extension is %q, want %q", extension, want)
		}
	})
}

// readCEF is a strict reader of CEF:0. It returns the eight fields of the header but the extension, and the extension.
func readCEF(line string) (header []string, extension map[string]string, err error) {
	rest, ok := strings.CutPrefix(line, "CEF:")
	if !ok {
		return nil, nil, errors.New("no CEF")
	}
	var field strings.Builder
	for len(header) < 7 {
		switch {
		case rest == "":
			return nil, nil, errors.New("the header ends early")
		case rest[0] == '|':
			header = append(header, field.String())
			field.Reset()
		case rest[0] == '\\':
			if rest = rest[1:]; rest == "" || rest[0] != '\\' && rest[0] != '|' {
				return nil, nil, errors.New("unknown escape in the header")
			}
			fallthrough
		default:
			field.WriteByte(rest[0])
		}
		rest = rest[1:]
	}
	extension, err = readExtension(rest)
	return header, extension, err
}

var isKey = regexp.MustCompile(`^[A-Za-z0-9_]+$`)

// readExtension splits at every = that is not escaped: the word before it is a key, and what stands before the blank
// before that is the value of the key before.
func readExtension(text string) (map[string]string, error) {
	parts := []string{""}
	for i := 0; i < len(text); i++ {
		if text[i] == '=' {
			parts = append(parts, "")
			continue
		}
		end := i + 1
		if text[i] == '\\' {
			end++
		}
		if end > len(text) {
			return nil, errors.New("ends in an escape")
		}
		parts[len(parts)-1] += text[i:end]
		i = end - 1
	}
	extension := map[string]string{}
	key := parts[0]
	for i, part := range parts[1:] {
		next := ""
		if i < len(parts)-2 {
			cut := strings.LastIndexByte(part, ' ')
			if cut < 0 {
				return nil, errors.New("a key without a blank before it")
			}
			part, next = part[:cut], part[cut+1:]
		}
		value, err := unescape(part)
		if _, twice := extension[key]; err != nil || twice || !isKey.MatchString(key) {
			return nil, fmt.Errorf("key %q: %w", key, errors.Join(err, errors.New("wrong or there twice")))
		}
		extension[key], key = value, next
	}
	return extension, nil
}

func unescape(text string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			out.WriteByte(text[i])
			continue
		}
		i++
		c, ok := map[byte]byte{'\\': '\\', '=': '=', 'n': '\n', 'r': '\r'}[text[i]]
		if !ok {
			return "", errors.New("unknown escape")
		}
		out.WriteByte(c)
	}
	return out.String(), nil
}

func FuzzSyslog(f *testing.F) {
	texts(f)
	f.Fuzz(func(t *testing.T, principal, text, action, result string, index int64) {
		e := fuzzed(t, principal, text, action, result, index)
		var frames []byte
		formats := []string{"cef", "jsonl", "ocsf"}
		for _, format := range formats {
			message := ship.AppendSyslog(nil, &e, text, ship.Encoders()[format])
			header, _, _ := bytes.Cut(message, []byte(`{"`))
			if format == "cef" {
				header = message
			}
			isLine(t, header)
			frames = ship.AppendFrame(frames, message)
		}
		var messages []*rfc5424.SyslogMessage
		octetcounting.NewParser(syslog.WithMaxMessageLength(1<<20), syslog.WithListener(func(r *syslog.Result) {
			if r.Error != nil {
				t.Fatalf("%v: %q", r.Error, frames)
			}
			messages = append(messages, r.Message.(*rfc5424.SyslogMessage))
		})).Parse(bytes.NewReader(frames))
		if len(messages) != len(formats) {
			t.Fatalf("%d messages: %q", len(messages), frames)
		}
		want := said(&e)
		for name, value := range want {
			want[name] = visible(value, "")
		}
		want["log_index"], want["leaf_hash"] = strconv.FormatInt(e.Index, 10), e.Leaf.String()
		for i, m := range messages {
			got := *m.StructuredData
			if len(got) != 1 || !maps.Equal(got["cardvault@32473"], want) {
				t.Fatalf("structured data is %q, want %q", got, want)
			}
			if body := ship.Encoders()[formats[i]](nil, &e); *m.Message != string(body) {
				t.Fatalf("message is %q, want %q", *m.Message, body)
			}
			if *m.Appname != "cardvault" || *m.ProcID != e.Entry.Replica.String() || !m.Timestamp.Equal(e.Entry.Time) {
				t.Fatalf("header is wrong: %q", frames)
			}
		}
	})
}

func FuzzOCSF(f *testing.F) {
	texts(f)
	f.Fuzz(func(t *testing.T, principal, text, action, result string, index int64) {
		e := fuzzed(t, principal, text, action, result, index)
		line := ship.AppendOCSF(nil, &e)
		if bytes.ContainsFunc(line, func(r rune) bool { return r < 0x20 || r == '\u2028' || r == '\u2029' }) {
			t.Fatalf("not a line: %q", line)
		}
		var got struct {
			Metadata struct {
				Sequence  int64
				EventCode string `json:"event_code"`
				TenantUID string `json:"tenant_uid"`
				UID       string
			}
			API struct {
				Operation string
				Request   struct{ UID string }
			}
			Actor      struct{ User struct{ Name, UID string } }
			StatusCode string `json:"status_code"`
			RawData    string `json:"raw_data"`
			ClassUID   int    `json:"class_uid"`
			ActivityID int    `json:"activity_id"`
			TypeUID    int    `json:"type_uid"`
			Resources  []struct{ Type, UID string }
			Unmapped   map[string]string
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		a := &e.Entry
		user := a.Principal
		if user == "" {
			user = "cardvault"
		}
		for name, pair := range map[string][2]string{
			"raw data": {got.RawData, string(e.Body)}, "action": {got.API.Operation, a.Action}, "code": {got.Metadata.EventCode, a.Action},
			"tenant": {got.Metadata.TenantUID, a.Tenant}, "user": {got.Actor.User.Name, user}, "uid": {got.Actor.User.UID, a.Principal},
			"result": {got.StatusCode, a.Result}, "request": {got.API.Request.UID, a.RequestID.String()},
			"purpose": {got.Unmapped["purpose"], a.Purpose}, "policy": {got.Unmapped["policy"], a.Policy}, "view": {got.Unmapped["view"], a.View},
			"leaf": {got.Unmapped["leaf_hash"], e.Leaf.String()}, "entry": {got.Metadata.UID, fmt.Sprintf("%s/%d", a.Replica, a.Number)},
		} {
			if pair[0] != pair[1] {
				t.Fatalf("%s is %q, want %q", name, pair[0], pair[1])
			}
		}
		if got.Metadata.Sequence != e.Index || got.TypeUID != got.ClassUID*100+got.ActivityID {
			t.Fatalf("classified wrongly: %s", line)
		}
	})
}
