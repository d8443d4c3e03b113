package review

import (
	"fmt"
	"time"
)

// Notes says in words what a reader of the numbers has to know about them.
func (s *Summary) Notes() []string {
	var notes []string
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if s.Read == 0 {
		add("There was no entry to read.")
	}
	if s.Dropped > 0 {
		add("%s entries had been dropped by the retention policy. A caller whose earlier entries were among them counts as new.", decimal(s.Dropped))
	}
	if !s.Begins.IsZero() && s.Period.Since.Before(s.Begins) && !s.Period.Since.IsZero() {
		add("The period begins before the first entry that was read, of %s. Every caller counts as new.", instant(s.Begins))
	}
	if partial(s.Period.Since) || partial(s.Period.Until) {
		add("The period does not begin and end at midnight UTC, so the counts of its first or last day are not of a whole day.")
	}
	return append(notes, s.Others.notes()...)
}

func partial(t time.Time) bool { return !t.IsZero() && !t.Equal(DayOf(t).Time()) }

func (o Others) notes() []string {
	var notes []string
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	limit := decimal(int64(o.Limit))
	if o.FullPANs > 0 {
		add("%s full PANs are in the totals by day alone: more than %s combinations of principal, tenant, purpose and day came before.", decimal(o.FullPANs), limit)
	}
	if o.FullPANs > 0 || o.Compared > 0 {
		add("Unusual days may be missing, or be usual: not every day could be compared.")
	}
	if o.Refusals > 0 {
		add("%s refusals are in the totals by day alone: more than %s combinations of principal, tenant, action and reason came before.", decimal(o.Refusals), limit)
	}
	if o.Callers {
		add("More than %s callers are known. %s calls in the period were by others; which of them are new is not known.", limit, decimal(o.Calls))
	}
	if o.Acts > 0 {
		add("%s acts of the server are not shown: more than %s came before.", decimal(o.Acts), limit)
	}
	if o.Policies > 0 {
		add("%s changes of policy are not shown: more than %s policies came before.", decimal(o.Policies), limit)
	}
	return notes
}
