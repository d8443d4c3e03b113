package review_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/review"
)

func render(t rapid.TB, r *review.Report) *html.Node {
	t.Helper()
	var b strings.Builder
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	page, err := html.Parse(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// outline is what a page consists of: headings, figures, and tables with their
// headers and how many rows they have.
func outline(page *html.Node) []string {
	var lines []string
	for n := range page.Descendants() {
		switch n.Data {
		case "h1", "h2", "h3", "figcaption", "desc", "dt", "dd":
			if n.Type == html.ElementNode {
				lines = append(lines, n.Data+": "+text(n))
			}
		case "table":
			var headers []string
			rows := 0
			for m := range n.Descendants() {
				switch m.Data {
				case "th":
					headers = append(headers, text(m))
				case "td":
					if m.PrevSibling == nil || m.PrevSibling.Data != "td" {
						rows++
					}
				}
			}
			lines = append(lines, fmt.Sprintf("table: %s: %d", strings.Join(headers, " | "), rows))
		}
	}
	return lines
}

func TestPageOutline(t *testing.T) {
	want := []string{
		"h1: Audit log review",
		"dt: Full PANs given out", "dd: 7,584", "dt: Unusual days", "dd: 1", "dt: Refusals", "dd: 151",
		"dt: New callers", "dd: 3", "dt: Entries in the period", "dd: 7,742",
		"h2: Full PANs",
		"figcaption: Full PANs per day", "desc: Columns over time, 2026-03-01 to 2026-03-30. The highest is 2026-03-19: 700.",
		"h3: By purpose", "table: Purpose | Full PANs: 3",
		"h3: Unusual days", "table: Day | Principal | Tenant | Purpose | Full PANs | Most before: 1",
		"h3: Who got them, and for what", "table: Principal | Tenant | Purpose | Days | Full PANs: 4",
		"h2: Refusals",
		"figcaption: Refusals per day", "desc: Columns over time, 2026-03-01 to 2026-03-30. The highest is 2026-03-20: 35.",
		"h3: By reason", "table: Reason | Refusals: 2",
		"h3: Who was refused what", "table: Principal | Tenant | Action | Reason | Refusals | Last: 3",
		"h2: Callers", "table: Principal | Tenant | Calls | Full PANs | Refusals | First seen: 6",
		"h2: Policies in force", "table: SHA-256 of the policy file | Put in force, times | Since: 2",
		"h2: What the server did by itself", "table: Time | Act | Tenant | About | Result: 5",
		"h2: Full PANs day by day", "table: Day | Principal | Tenant | Purpose | Full PANs: 71",
	}
	if diff := cmp.Diff(want, outline(render(t, ordinary()))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestEmptyPage(t *testing.T) {
	page := text(render(t, review.New(month())))
	for _, want := range []string{
		"No full PAN was given out", "Nothing was refused", "Nobody called", "There was no entry to read.",
		"These entries do not say which policy was in force.",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// shape is the page without its texts: elements in order, with the names of their
// attributes. class is left out: short names are kept on one line by one.
func shape(page *html.Node) []string {
	var all []string
	for n := range page.Descendants() {
		switch n.Type {
		case html.ElementNode:
			tag := n.Data
			for _, a := range n.Attr {
				if a.Key != "class" {
					tag += " " + a.Key
				}
			}
			all = append(all, tag)
		case html.CommentNode:
			all = append(all, "comment")
		default:
		}
	}
	return all
}

// named is a report on one entry of each kind for each name.
func named(names []string) *review.Report {
	r := review.New(month())
	r.Source = names[0]
	l := &logbook{report: r}
	for _, name := range names {
		at := month().Since
		e := audit.Entry{
			Principal: name, Tenant: "t" + name, Purpose: name, Action: "DetokenizeCard", View: "FULL",
			Decision: audit.Allow, Result: "OK", BINRange: "b" + name,
		}
		l.add(at, e)
		e.Action, e.Result = name, "r"+name
		l.add(at, e)
		e.Principal = ""
		l.add(at, e)
	}
	return r
}

func plainNames(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("name%d", i))
	}
	return names
}

// TestNoNameChangesThePage: whatever names say, the page consists of the same
// elements as with plain names, and shows every name as it is.
func TestNoNameChangesThePage(t *testing.T) {
	alphabet := []rune("<>\"'`&;/=- \n\r\t\x00\x1b{}[]!?#.:abcimgsrtyleopx\u202e\u2066\u200f\u2028\u0301א字😀\ufffd")
	name := rapid.OneOf(
		rapid.SampledFrom(hostileNames()),
		rapid.StringOfN(rapid.RuneFrom(alphabet), 1, 40, -1),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 1, 40), func(b []byte) string { return string(b) }),
	)
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(name, 1, 5, rapid.ID).Draw(t, "names")
		page := render(t, named(names))
		if diff := cmp.Diff(shape(render(t, named(plainNames(len(names))))), shape(page)); diff != "" {
			t.Fatalf("(-plain +hostile)\n%s", diff)
		}
		var shown []string
		for n := range page.Descendants() {
			if n.Data == "bdi" {
				shown = append(shown, n.FirstChild.Data)
			}
		}
		for _, name := range names {
			if !slices.Contains(shown, review.Shown(name)) {
				t.Fatalf("%q is not on the page", review.Shown(name))
			}
		}
	})
}

// TestShown: plain ASCII alone, and no two texts alike.
func TestShown(t *testing.T) {
	for in, want := range map[string]string{
		"spiffe://cards.example.com/tenant/acme/payments": "spiffe://cards.example.com/tenant/acme/payments",
		"": "", "a\u202eb": `a\u202eb`, "\x1b[2J": `\x1b[2J`, "аcme": `\u0430cme`, `a\u202eb`: `a\\u202eb`, "\xff": `\xff`,
	} {
		if got := review.Shown(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.SliceOfN(rapid.Byte(), 0, 8)
		a, b := string(bytes.Draw(t, "a")), string(bytes.Draw(t, "b"))
		if (a == b) != (review.Shown(a) == review.Shown(b)) {
			t.Fatalf("%q and %q", a, b)
		}
		for _, c := range []byte(review.Shown(a)) {
			if c < ' ' || c > '~' {
				t.Fatalf("%q is shown with byte %#x", a, c)
			}
		}
	})
}
