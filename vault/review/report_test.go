package review_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/review"
)

// drawLog draws entries around a month, out of few names, so that keys meet.
func drawLog() *rapid.Generator[[]audit.Entry] {
	pick := func(t *rapid.T, label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	begin := month().Since.AddDate(0, 0, -45)
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) audit.Entry {
		return audit.Entry{
			Time:      begin.Add(time.Duration(rapid.Int64Range(0, 80*24*60).Draw(t, "minute")) * time.Minute),
			Principal: pick(t, "principal", "", "a", "b", "c"), Tenant: pick(t, "tenant", "", "t", "u"),
			Action: pick(t, "action", "DetokenizeCard", "DetokenizeCard", "GetCard", "SetPolicy", "StartReplica"),
			View:   pick(t, "view", "FULL", "FULL", "MASKED"), Purpose: pick(t, "purpose", "p", "q"),
			Decision: rapid.SampledFrom([]audit.Decision{audit.Allow, audit.Allow, audit.Deny}).Draw(t, "decision"),
			Result:   pick(t, "result", "OK", "OK", "PERMISSION_DENIED", "CARD_NOT_FOUND"),
			Digest:   audit.Hash{rapid.Byte().Draw(t, "digest") % 3},
		}
	}), 0, 400)
}

func summary(entries []audit.Entry, order []int) review.Summary {
	r := review.New(month())
	for _, i := range order {
		e := entries[i]
		e.Number = int64(i)
		r.Add(int64(i), e)
	}
	return r.Summary()
}

func inOrder(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}

func isFull(e audit.Entry) bool {
	return e.Principal != "" && e.Action == "DetokenizeCard" && e.View == "FULL" && e.Decision == audit.Allow && e.Result == "OK"
}

func isRefusal(e audit.Entry) bool {
	return e.Principal != "" && (e.Decision == audit.Deny || e.Result != "OK")
}

func day(t time.Time) string { return t.Format(time.DateOnly) }

// count counts the entries of the month that are wanted, one key at a time.
func count(entries []audit.Entry, wanted func(audit.Entry) bool) (n int64) {
	for _, e := range entries {
		if !e.Time.Before(month().Since) && e.Time.Before(month().Until) && wanted(e) {
			n++
		}
	}
	return n
}

// TestSummaryAgainstCountingAgain compares every row of a summary with a count of
// its own, and the rows' sum with that of all, so that none is missing.
func TestSummaryAgainstCountingAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := drawLog().Draw(t, "log")
		s := summary(entries, inOrder(len(entries)))
		equal := func(what string, got, want int64) {
			t.Helper()
			if got != want {
				t.Fatalf("%s: %d, counted again %d", what, got, want)
			}
		}
		equal("entries", s.Entries, count(entries, func(audit.Entry) bool { return true }))
		equal("full PANs", s.FullPANs, count(entries, isFull))
		equal("refusals", s.Refusals, count(entries, isRefusal))

		var sum int64
		for _, d := range s.Disclosures {
			equal("disclosure", d.Count, count(entries, func(e audit.Entry) bool {
				return isFull(e) && e.Principal == d.Principal && e.Tenant == d.Tenant && e.Purpose == d.Purpose && day(e.Time) == d.Day.String()
			}))
			sum += d.Count
		}
		equal("sum of disclosures", sum, s.FullPANs)
		sum = 0
		for _, r := range s.Refused {
			equal("refusal", r.Count, count(entries, func(e audit.Entry) bool {
				return isRefusal(e) && e.Principal == r.Principal && e.Tenant == r.Tenant && e.Action == r.Action && e.Result == r.Reason
			}))
			sum += r.Count
		}
		equal("sum of refusals", sum, s.Refusals)
		sum = 0
		for _, d := range s.Days {
			equal("day", d.FullPANs, count(entries, func(e audit.Entry) bool { return isFull(e) && day(e.Time) == d.Day.String() }))
			equal("day", d.Refusals, count(entries, func(e audit.Entry) bool { return isRefusal(e) && day(e.Time) == d.Day.String() }))
			sum += d.FullPANs + d.Refusals
		}
		equal("sum of days", sum, s.FullPANs+s.Refusals)
		equal("acts", int64(len(s.Acts)), count(entries, func(e audit.Entry) bool { return e.Principal == "" }))
	})
}

// TestCallersAgainstLookingAgain looks every caller up in the whole log.
func TestCallersAgainstLookingAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := drawLog().Draw(t, "log")
		s := summary(entries, inOrder(len(entries)))
		var calls, news int64
		for _, c := range s.Callers {
			mine := func(e audit.Entry) bool { return e.Principal == c.Principal && e.Tenant == c.Tenant }
			before := slices.ContainsFunc(entries, func(e audit.Entry) bool { return mine(e) && e.Time.Before(month().Since) })
			if c.New == before {
				t.Fatalf("%s in %s: new %v, and an entry before the period: %v", c.Principal, c.Tenant, c.New, before)
			}
			if c.Calls != count(entries, mine) || c.FullPANs != count(entries, func(e audit.Entry) bool { return mine(e) && isFull(e) }) ||
				c.Refusals != count(entries, func(e audit.Entry) bool { return mine(e) && isRefusal(e) }) {
				t.Fatalf("counts of %v", c)
			}
			if slices.ContainsFunc(entries, func(e audit.Entry) bool { return mine(e) && e.Time.Before(c.First.Time) }) {
				t.Fatalf("%v was seen before", c)
			}
			calls += c.Calls
			if c.New {
				news++
			}
		}
		if calls != count(entries, func(e audit.Entry) bool { return e.Principal != "" }) || news != s.NewCallers {
			t.Fatalf("%d calls in all, %d new callers of %d", calls, news, s.NewCallers)
		}
	})
}

// TestOrderChangesNothing: replicas' entries stand in the log nearly in order of
// time.
func TestOrderChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := drawLog().Draw(t, "log")
		order := rapid.Permutation(inOrder(len(entries))).Draw(t, "order")
		if diff := cmp.Diff(summary(entries, inOrder(len(entries))), summary(entries, order), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-in order +shuffled)\n%s", diff)
		}
	})
}

// TestNothingIsLeftOutInSilence gives the tables little room: what has none is in
// the others, and totals are as with room for all.
func TestNothingIsLeftOutInSilence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := drawLog().Draw(t, "log")
		limit := rapid.IntRange(1, 6).Draw(t, "limit")
		small, large := review.NewLimited(month(), limit), review.New(month())
		for i, e := range entries {
			e.Number = int64(i)
			small.Add(int64(i), e)
			large.Add(int64(i), e)
		}
		got, want := small.Summary(), large.Summary()
		if diff := cmp.Diff(want.Days, got.Days); diff != "" || got.FullPANs != want.FullPANs || got.Refusals != want.Refusals {
			t.Fatalf("totals differ:\n%s", diff)
		}
		var opened, refused, calls int64
		for _, d := range got.Disclosures {
			opened += d.Count
		}
		for _, r := range got.Refused {
			refused += r.Count
		}
		for _, c := range got.Callers {
			calls += c.Calls
		}
		if opened+got.Others.FullPANs != want.FullPANs || refused+got.Others.Refusals != want.Refusals ||
			int64(len(got.Acts))+got.Others.Acts != int64(len(want.Acts)) ||
			calls+got.Others.Calls != count(entries, func(e audit.Entry) bool { return e.Principal != "" }) {
			t.Fatalf("left out: %+v", got.Others)
		}
		for name, n := range map[string]int{
			"disclosures": len(got.Disclosures), "refused": len(got.Refused), "callers": len(got.Callers), "acts": len(got.Acts),
			"policies": len(got.Policies) - 1, // one more was in force before
		} {
			if n > limit {
				t.Fatalf("%d %s, with room for %d", n, name, limit)
			}
		}
		if len(got.Disclosures) < len(want.Disclosures) && len(got.Notes()) == 0 {
			t.Fatal("rows are missing, and no note says so")
		}
	})
}

// TestUnusualDays pins the rule.
func TestUnusualDays(t *testing.T) {
	at := func(d int) time.Time { return month().Since.AddDate(0, 0, d).Add(time.Hour) }
	tests := map[string]struct {
		fill func(l *logbook)
		want []int
	}{
		"as always":             {func(l *logbook) { l.opens(at(-9), "t", "a", "p", 100); l.opens(at(5), "t", "a", "p", 300) }, nil},
		"more than three times": {func(l *logbook) { l.opens(at(-9), "t", "a", "p", 100); l.opens(at(5), "t", "a", "p", 301) }, []int{5}},
		"the second day is not": {func(l *logbook) { l.opens(at(5), "t", "a", "p", 50); l.opens(at(6), "t", "a", "p", 50) }, []int{5}},
		"never before":          {func(l *logbook) { l.opens(at(5), "t", "a", "p", 20) }, []int{5}},
		"few":                   {func(l *logbook) { l.opens(at(5), "t", "a", "p", 19) }, nil},
		"another purpose":       {func(l *logbook) { l.opens(at(4), "t", "a", "q", 100); l.opens(at(5), "t", "a", "p", 100) }, []int{4, 5}},
		"28 days ago":           {func(l *logbook) { l.opens(at(-28), "t", "a", "p", 100); l.opens(at(0), "t", "a", "p", 100) }, nil},
		"29 days ago":           {func(l *logbook) { l.opens(at(-29), "t", "a", "p", 100); l.opens(at(0), "t", "a", "p", 100) }, []int{0}},
		"every week": {func(l *logbook) {
			for d := -28; d < 30; d += 7 {
				l.opens(at(d), "t", "a", "p", 100)
			}
		}, nil},
		"before the period":      {func(l *logbook) { l.opens(at(-1), "t", "a", "p", 100) }, nil},
		"a part of it is before": {func(l *logbook) { l.opens(at(0).Add(-time.Hour), "t", "a", "p", 30) }, []int{0}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := &logbook{report: review.New(month())}
			l.acts(at(-60), audit.Entry{Action: "StartReplica"})
			tt.fill(l)
			var got []int
			for _, u := range l.report.Summary().Unusual {
				got = append(got, int(u.Day-review.DayOf(month().Since)))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("days %v, want %v", got, tt.want)
			}
		})
	}
}

// In a log of less than a week everything would be unusual.
func TestNothingIsUnusualInANewLog(t *testing.T) {
	l := &logbook{report: review.New(month())}
	for d := range 7 {
		l.opens(month().Since.AddDate(0, 0, d), "t", "a", "p", 20*(1<<(2*d)))
	}
	if got := l.report.Summary().Unusual; len(got) != 0 {
		t.Errorf("unusual: %v", got)
	}
}

func TestPoliciesInForce(t *testing.T) {
	since := month().Since
	set := func(l *logbook, d int, digest audit.Hash) {
		l.acts(since.AddDate(0, 0, d), audit.Entry{Action: "SetPolicy", Digest: digest})
	}
	l := &logbook{report: review.New(month())}
	set(l, -20, audit.Hash{1})
	set(l, -10, audit.Hash{2}) // in force as the period begins
	set(l, 5, audit.Hash{3})
	l.acts(since.AddDate(0, 0, 5), audit.Entry{Action: "StartReplica", Digest: audit.Hash{3}}) // another replica begins with it
	l.acts(since.AddDate(0, 0, 6), audit.Entry{Action: "StartReplica"})                        // one from before there were digests
	set(l, 9, audit.Hash{2})
	set(l, 12, audit.Hash{})
	set(l, 40, audit.Hash{9})

	type row struct {
		digest string
		before bool
		day    int
		times  int64
	}
	var got []row
	for _, p := range l.report.Summary().Policies {
		got = append(got, row{p.Digest[:min(2, len(p.Digest))], p.Before, int(p.First.Time.Sub(since).Hours() / 24), p.Times})
	}
	want := []row{{"02", true, -10, 1}, {"03", false, 5, 2}, {"", false, 12, 1}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(row{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestSummaryAsJSON: what is read back is what was written, and rows that are not
// there are an empty list.
func TestSummaryAsJSON(t *testing.T) {
	for name, r := range map[string]*review.Report{"ordinary": ordinary(), "empty": review.New(month())} {
		want := r.Summary()
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got review.Summary
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

func TestFilter(t *testing.T) {
	card := uuid.UUID{1}
	e := audit.Entry{Time: month().Since, Principal: "a", Card: card, Action: "GetCard", Decision: audit.Allow}
	tests := map[string]struct {
		filter review.Filter
		want   bool
	}{
		"zero":            {review.Filter{}, true},
		"since":           {review.Filter{Since: month().Since}, true},
		"since later":     {review.Filter{Since: month().Since.Add(1)}, false},
		"until":           {review.Filter{Until: month().Since.Add(1)}, true},
		"until then":      {review.Filter{Until: month().Since}, false},
		"principal":       {review.Filter{Principal: "a"}, true},
		"other principal": {review.Filter{Principal: "b"}, false},
		"card":            {review.Filter{Card: card}, true},
		"other card":      {review.Filter{Card: uuid.UUID{2}}, false},
		"action":          {review.Filter{Action: "GetCard"}, true},
		"other action":    {review.Filter{Action: "getcard"}, false},
		"allow":           {review.Filter{Decision: "allow"}, true},
		"deny":            {review.Filter{Decision: "deny"}, false},
		"one of two":      {review.Filter{Principal: "a", Action: "ListCards"}, false},
	}
	for name, tt := range tests {
		if got := tt.filter.Match(e); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestDays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-1<<40, 1<<37).Draw(t, "second"), 0).UTC()
		d := review.DayOf(at)
		if want := at.Truncate(24 * time.Hour); !d.Time().Equal(want) {
			t.Fatalf("%v is in day %v", at, d.Time())
		}
	})
}
