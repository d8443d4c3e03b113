package review

import (
	"cmp"
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

// page is what the template is filled with.
type page struct {
	Summary

	FullPlot, RefusedPlot *plot
	Purposes, Reasons     []share
	Recipients            []recipient
	Notes                 []string
}

// share is a part of a whole, with a bar that is as long as its part of the
// largest.
type share struct {
	Name  string
	Count int64
	Bar   string // percent
}

// recipient is a principal with the full PANs that it got for a purpose in the
// whole period.
type recipient struct {
	Principal, Tenant, Purpose string
	Days                       int64
	Count                      int64
	Bar                        string // percent
}

// WriteHTML writes the report as a page that needs nothing else: style and plots
// are in it, and no script. It can be read on paper and on a phone.
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := pageTemplate()
	if err != nil {
		return err
	}
	if err := t.Execute(w, newPage(r.Summary())); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// pageTemplate puts page and style together. The page's policy allows this style
// by its hash (CSP Level 3, §8.3) and nothing else, so that what a name might
// smuggle in neither runs nor loads.
func pageTemplate() (*template.Template, error) {
	sum := sha256.Sum256([]byte(pageStyle))
	text := strings.NewReplacer(
		"STYLE_HASH", "sha256-"+base64.StdEncoding.EncodeToString(sum[:]),
		"STYLE", pageStyle,
	).Replace(pageText)
	t, err := template.New("page").Funcs(template.FuncMap{
		"shown": Shown, "number": decimal, "instant": instant, "bound": bound, "day": Day.String,
	}).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	return t, nil
}

func newPage(s Summary) page {
	p := page{Summary: s, Notes: s.Notes()}
	p.FullPlot, p.RefusedPlot = s.plots()
	purposes, reasons := map[string]int64{}, map[string]int64{}
	for _, d := range s.Disclosures {
		purposes[d.Purpose] += d.Count
	}
	for _, r := range s.Refused {
		reasons[r.Reason] += r.Count
	}
	p.Purposes, p.Reasons = shares(purposes), shares(reasons)
	p.Recipients = recipients(s.Disclosures)
	return p
}

func shares(counts map[string]int64) []share {
	var list []share
	for name, count := range counts {
		list = append(list, share{Name: name, Count: count})
	}
	slices.SortFunc(list, func(a, b share) int { return cmp.Or(-cmp.Compare(a.Count, b.Count), cmp.Compare(a.Name, b.Name)) })
	for i := range list {
		list[i].Bar = bar(list[i].Count, list[0].Count)
	}
	return list
}

func recipients(disclosures []Disclosure) []recipient {
	byKey := map[[3]string]*recipient{}
	for _, d := range disclosures {
		key := [3]string{d.Principal, d.Tenant, d.Purpose}
		if byKey[key] == nil {
			byKey[key] = &recipient{Principal: d.Principal, Tenant: d.Tenant, Purpose: d.Purpose}
		}
		byKey[key].Days++
		byKey[key].Count += d.Count
	}
	list := make([]recipient, 0, len(byKey))
	for _, r := range byKey {
		list = append(list, *r)
	}
	slices.SortFunc(list, func(a, b recipient) int {
		return cmp.Or(-cmp.Compare(a.Count, b.Count), cmp.Compare(a.Principal, b.Principal),
			cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Purpose, b.Purpose))
	})
	for i := range list {
		list[i].Bar = bar(list[i].Count, list[0].Count)
	}
	return list
}

// bar is never too short to be seen.
func bar(count, largest int64) string {
	return percent(max(1, 100*float64(count)/float64(largest)))
}

func instant(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// bound is a bound of the period; empty: it has none.
func bound(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return instant(t) + " UTC"
}
