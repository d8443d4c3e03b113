package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/cardvault/cardvault/vault/review"
)

func printReport(out printer, s review.Summary) error {
	if out.json {
		text, err := json.Marshal(s)
		if err != nil {
			return failed("", "encode the report: %w", err)
		}
		return out.lines(string(text))
	}
	if err := out.lines(reportHead(s)...); err != nil {
		return err
	}
	for _, part := range reportParts(s) {
		if err := out.lines("", part.title); err != nil {
			return err
		}
		if len(part.rows) == 0 {
			if err := out.lines("none"); err != nil {
				return err
			}
			continue
		}
		if err := out.table(part.header, part.rows...); err != nil {
			return err
		}
	}
	return nil
}

func reportHead(s review.Summary) []string {
	lines := []string{
		fmt.Sprintf("Audit log review, %s to %s", s.Period.Since.Format(time.RFC3339), s.Period.Until.Format(time.RFC3339)),
		fmt.Sprintf("From %s: %d entries read", review.Shown(s.Source), s.Read),
		"",
		fmt.Sprintf("%d full PANs, %d unusual days, %d refusals, %d new callers, %d entries",
			s.FullPANs, len(s.Unusual), s.Refusals, s.NewCallers, s.Entries),
	}
	for _, note := range s.Notes() {
		lines = append(lines, "note: "+note)
	}
	return lines
}

// reportPart is a table with its title.
type reportPart struct {
	title  string
	header table.Row
	rows   []table.Row
}

func (p *reportPart) add(cells ...any) { p.rows = append(p.rows, shownRow(cells)) }

// others adds the row of what the table had no room for.
func (p *reportPart) others(n int64, cells ...any) {
	if n > 0 {
		p.rows = append(p.rows, cells)
	}
}

func reportParts(s review.Summary) []reportPart {
	return []reportPart{
		fullPANsPart(s), unusualPart(s), refusalsPart(s), callersPart(s), policiesPart(s), actsPart(s),
	}
}

func fullPANsPart(s review.Summary) reportPart {
	p := reportPart{title: "FULL PANS, by day", header: table.Row{"DAY", "PRINCIPAL", "TENANT", "PURPOSE", "FULL PANS"}}
	for _, d := range s.Disclosures {
		p.add(d.Day.String(), d.Principal, d.Tenant, d.Purpose, d.Count)
	}
	p.others(s.Others.FullPANs, "any", "others", "", "", s.Others.FullPANs)
	return p
}

func unusualPart(s review.Summary) reportPart {
	p := reportPart{
		title:  "UNUSUAL DAYS: at least 20 full PANs for one purpose, and more than three times as many as on any of the 28 days before",
		header: table.Row{"DAY", "PRINCIPAL", "TENANT", "PURPOSE", "FULL PANS", "MOST BEFORE"},
	}
	for _, u := range s.Unusual {
		p.add(u.Day.String(), u.Principal, u.Tenant, u.Purpose, u.Count, u.Busiest)
	}
	return p
}

func refusalsPart(s review.Summary) reportPart {
	p := reportPart{title: "REFUSALS", header: table.Row{"PRINCIPAL", "TENANT", "ACTION", "REASON", "REFUSALS", "LAST", "AUDIT ENTRY"}}
	for _, r := range s.Refused {
		p.add(r.Principal, r.Tenant, r.Action, r.Reason, r.Count, r.Last.Time.Format(time.RFC3339), r.Last.Receipt())
	}
	p.others(s.Others.Refusals, "others", "", "", "", s.Others.Refusals, "", "")
	return p
}

func callersPart(s review.Summary) reportPart {
	p := reportPart{title: "CALLERS, new ones first", header: table.Row{"NEW", "PRINCIPAL", "TENANT", "CALLS", "FULL PANS", "REFUSALS", "FIRST SEEN", "AUDIT ENTRY"}}
	for _, c := range s.Callers {
		isNew := ""
		if c.New {
			isNew = "new"
		}
		p.add(isNew, c.Principal, c.Tenant, c.Calls, c.FullPANs, c.Refusals, c.First.Time.Format(time.RFC3339), c.First.Receipt())
	}
	p.others(s.Others.Calls, "", "others", "", s.Others.Calls, "", "", "", "")
	return p
}

func policiesPart(s review.Summary) reportPart {
	p := reportPart{title: "POLICIES in force", header: table.Row{"SHA-256", "PUT IN FORCE", "TIMES", "AUDIT ENTRY"}}
	for _, policy := range s.Policies {
		digest := policy.Digest
		if digest == "" {
			digest = "no policy: everything denied"
		}
		p.add(digest, policy.First.Time.Format(time.RFC3339), policy.Times, policy.First.Receipt())
	}
	p.others(s.Others.Policies, "others", "", s.Others.Policies, "")
	return p
}

func actsPart(s review.Summary) reportPart {
	p := reportPart{title: "ACTS of the server itself", header: table.Row{"TIME", "ACT", "TENANT", "ABOUT", "RESULT", "AUDIT ENTRY"}}
	for _, a := range s.Acts {
		p.add(a.Time.Format(time.RFC3339), a.Action, a.Tenant, a.About, a.Result, a.Receipt())
	}
	p.others(s.Others.Acts, "others", s.Others.Acts, "", "", "", "")
	return p
}
