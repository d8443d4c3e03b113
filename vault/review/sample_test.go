package review_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/review"
)

// month is a period of 30 days, for tests.
func month() review.Period {
	return review.Period{
		Since: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		Until: time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC),
	}
}

// logbook makes entries of one replica.
type logbook struct {
	report *review.Report
	index  int64
}

func (l *logbook) add(at time.Time, e audit.Entry) {
	e.Replica, e.Number, e.Time = uuid.UUID{0: 0x6f, 6: 0x40, 8: 0x80, 15: 1}, l.index, at
	l.report.Add(l.index, e)
	l.index++
}

func (l *logbook) call(at time.Time, tenant, name string, e audit.Entry) {
	e.Principal, e.Tenant = "spiffe://cards.example.com/tenant/"+tenant+"/"+name, tenant
	if e.Result == "" {
		e.Result, e.Decision = "OK", audit.Allow
	}
	l.add(at, e)
}

func (l *logbook) opens(at time.Time, tenant, name, purpose string, n int) {
	for i := range n {
		l.call(at.Add(time.Duration(i)*time.Millisecond), tenant, name, audit.Entry{Action: "DetokenizeCard", Purpose: purpose, View: "FULL"})
	}
}

func (l *logbook) isRefused(at time.Time, tenant, name, action, reason string, n int) {
	for i := range n {
		l.call(at.Add(time.Duration(i)*time.Millisecond), tenant, name, audit.Entry{Action: action, Result: reason})
	}
}

func (l *logbook) acts(at time.Time, e audit.Entry) {
	e.Decision, e.Result = audit.Allow, "OK"
	l.add(at, e)
}

// ordinary is a report on a month as companies have it: it has everything that a
// page can show.
func ordinary() *review.Report {
	r := review.New(month())
	r.Source, r.Made = "the log cards.example.com/audit", time.Date(2026, 3, 31, 6, 0, 0, 0, time.UTC)
	l := &logbook{report: r}
	begin := month().Since.AddDate(0, 0, -40)
	l.acts(begin, audit.Entry{Action: "StartReplica"})
	l.acts(begin.Add(time.Second), audit.Entry{Action: "SetPolicy", Digest: audit.Hash{0xab, 0x12, 31: 0x77}})
	for d := range 70 {
		day := begin.AddDate(0, 0, d).Add(9 * time.Hour)
		l.opens(day, "acme", "payments", "settlement", 140+(d*37)%90)
		if d%7 < 5 {
			l.opens(day.Add(time.Hour), "acme", "support", "chargeback", 4+d%9)
			l.opens(day.Add(time.Hour), "globex", "payments", "settlement", 60+(d*13)%25)
			l.isRefused(day.Add(2*time.Hour), "acme", "support", "DetokenizeCard", "PERMISSION_DENIED", d%4)
		}
		l.isRefused(day.Add(3*time.Hour), "globex", "payments", "DetokenizeCard", "TOKEN_NOT_FOUND", (d*5)%7)
	}
	day := month().Since
	l.opens(day.AddDate(0, 0, 18).Add(2*time.Hour), "acme", "fraud-desk", "fraud-review", 412)
	l.isRefused(day.AddDate(0, 0, 19), "acme", "fraud-desk", "ListCards", "PERMISSION_DENIED", 31)
	l.call(day.AddDate(0, 0, 3), "initech", "onboarding", audit.Entry{Action: "TokenizeCard"})
	l.acts(day.AddDate(0, 0, 4), audit.Entry{Action: "CreateKey", Tenant: "initech", Key: uuid.UUID{0: 0x0a, 6: 0x4a, 8: 0x8c, 15: 9}})
	l.acts(day.AddDate(0, 0, 11), audit.Entry{Action: "SetPolicy", Digest: audit.Hash{0xc0, 0xff, 0xee, 31: 0x01}})
	l.acts(day.AddDate(0, 0, 15), audit.Entry{Action: "StartReplica"})
	l.acts(day.AddDate(0, 0, 21), audit.Entry{Action: "StopBinRange", Tenant: "globex", BINRange: "debit-eu"})
	l.acts(day.AddDate(0, 0, 22), audit.Entry{Action: "PruneLog", Index: 1_048_576})
	l.add(day.AddDate(0, 0, 29), audit.Entry{
		Principal: "spiffe://cards.example.com/staff/alice", Action: "ReadLog", Decision: audit.Allow, Result: "OK",
	})
	return r
}

// hostile is a report on a log that no vault wrote: its names try to leave their
// place.
func hostile() *review.Report {
	r := review.New(month())
	r.Source, r.Made = `</p><script src="https://evil.example/x.js"></script>`, month().Until
	l := &logbook{report: r}
	for i, name := range hostileNames() {
		at := month().Since.Add(time.Duration(i) * 26 * time.Hour)
		e := audit.Entry{
			Principal: name, Tenant: name, Purpose: name, Action: "DetokenizeCard", View: "FULL",
			Decision: audit.Allow, Result: "OK", BINRange: name,
		}
		l.add(at, e)
		e.Action, e.Result = name, name
		l.add(at, e)
		e.Principal = ""
		l.add(at, e)
	}
	return r
}

func hostileNames() []string {
	return []string{
		`<script>document.title="broken"</script>`,
		`"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</title></svg></style><style>*{display:none}</style>`,
		`<!-- `, `]]>`, `&lt;b&gt;&#60;b&#62;`, "{{.}}", "javascript:alert(1)", "`${alert(1)}`",
		"\u202Egnp.elif\u202C", "\u2066\u2067\u200F", "שלום عالم", strings.Repeat("e\u0301\u0302\u0303\u0304", 60),
		"spiffe://cards.example.com/tenant/аcme/payments", "\x00\x07\x1b[2J\r\n\u2028", "\xff\xfe",
		strings.Repeat("W", 2048), strings.Repeat("long-name ", 200), fmt.Sprintf("%2000s", "."), "😀",
		strings.Repeat("W", 18),
	}
}

// decade is a report without bounds, on a log of a thousand days.
func decade() *review.Report {
	r := review.New(review.Period{})
	r.Source, r.Made = "a folder", month().Until
	l := &logbook{report: r}
	for d := range 1000 {
		l.opens(month().Since.AddDate(0, 0, d-1000), "acme", "payments", "settlement", 1+d%5)
	}
	return r
}

func oneEntry() *review.Report {
	day := month().Since
	r := review.New(review.Period{Since: day, Until: day.AddDate(0, 0, 1)})
	l := &logbook{report: r}
	l.opens(day, "acme", "payments", "settlement", 1)
	return r
}

// overfull is a report whose tables have too little room.
func overfull() *review.Report {
	r := review.NewLimited(month(), 3)
	l := &logbook{report: r}
	for d := range 30 {
		day := month().Since.AddDate(0, 0, d)
		l.acts(day, audit.Entry{Action: "SetPolicy", Digest: audit.Hash{byte(d + 1)}})
		for _, name := range []string{"a", "b", "c", "d"} {
			l.opens(day, "acme", name, "settlement", 10_000/(d+1))
			l.isRefused(day, "acme", name, "GetCard", "CARD_NOT_FOUND", 2)
		}
	}
	return r
}
