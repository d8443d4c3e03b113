package review

import (
	"cmp"
	"slices"
	"time"
)

// Summary is what a report found. Rows stand in one order, whatever order the
// entries came in.
type Summary struct {
	Period Period    `json:"period"`
	Source string    `json:"source"`
	Made   time.Time `json:"made"`
	// Read is how many entries were read, of any time; Dropped how many had no body
	// any more; Begins the time of the first; Entries those in the period.
	Read    int64     `json:"read"`
	Dropped int64     `json:"dropped"`
	Begins  time.Time `json:"begins"`
	Entries int64     `json:"entries"`

	FullPANs   int64 `json:"full_pans"`
	Refusals   int64 `json:"refusals"`
	NewCallers int64 `json:"new_callers"`

	Days        []DayTotal   `json:"days"`
	Disclosures []Disclosure `json:"disclosures"`
	Unusual     []Unusual    `json:"unusual"`
	Refused     []Refusal    `json:"refused"`
	Callers     []Caller     `json:"callers"`
	Policies    []Policy     `json:"policies"`
	Acts        []Act        `json:"acts"`

	// Others are what the tables had no room for.
	Others Others `json:"others"`
}

// DayTotal is a day of the period on which there was something to count.
type DayTotal struct {
	Day      Day   `json:"day"`
	FullPANs int64 `json:"full_pans"`
	Refusals int64 `json:"refusals"`
}

// Disclosure is how many full PANs a principal got for a purpose in a day.
type Disclosure struct {
	Day       Day    `json:"day"`
	Principal string `json:"principal"`
	Tenant    string `json:"tenant"`
	Purpose   string `json:"purpose"`
	Count     int64  `json:"count"`
}

// Refusal is how often a principal was refused an action for one reason.
type Refusal struct {
	Principal string `json:"principal"`
	Tenant    string `json:"tenant"`
	Action    string `json:"action"`
	// Reason is the stable one that was answered.
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
	First  Place  `json:"first"`
	Last   Place  `json:"last"`
}

// Caller is a principal in a tenant that called in the period.
type Caller struct {
	Principal string `json:"principal"`
	// Tenant is empty for staff.
	Tenant string `json:"tenant"`
	// New: there is no entry of it before the period.
	New      bool  `json:"new"`
	Calls    int64 `json:"calls"`
	Refusals int64 `json:"refusals"`
	FullPANs int64 `json:"full_pans"`
	// First entry ever, and the last of the period.
	First Place `json:"first"`
	Last  Place `json:"last"`
}

// Others counts what had no room in a table, because more than Limit keys came
// before. Where any is not zero, what the table says of keys is not all.
type Others struct {
	Limit int `json:"limit"`
	// FullPANs given out, and those of days before the period that an unusual day
	// should have been compared with.
	FullPANs int64 `json:"full_pans"`
	Compared int64 `json:"compared"`
	Refusals int64 `json:"refusals"`
	// Callers is set where there are more; Calls is how many calls they made. Whether
	// they are new is not known.
	Callers  bool  `json:"callers"`
	Calls    int64 `json:"calls"`
	Acts     int64 `json:"acts"`
	Policies int64 `json:"policies"`
}

// Summary returns what the report found so far.
func (r *Report) Summary() Summary {
	s := Summary{
		Period: r.period, Source: r.Source, Made: r.Made,
		Read: r.read, Dropped: r.dropped, Begins: r.begins.Time, Entries: r.entries,
		Days: r.dayList(), Disclosures: r.disclosures(), Unusual: r.unusual(), Refused: r.refusals(),
		Callers: r.callerList(), Policies: r.policyList(), Acts: r.actsList(),
		Others: Others{
			Limit: r.limit, FullPANs: r.opened.others.inPeriod, Compared: r.opened.others.inDay - r.opened.others.inPeriod,
			Refusals: r.refused.others.count, Callers: r.callers.full, Calls: r.callers.others.calls,
			Acts: r.acts.others, Policies: r.policies.others.times,
		},
	}
	for _, d := range s.Days {
		s.FullPANs += d.FullPANs
		s.Refusals += d.Refusals
	}
	for _, c := range s.Callers {
		if c.New {
			s.NewCallers++
		}
	}
	return s
}

func (r *Report) dayList() []DayTotal {
	list := make([]DayTotal, 0, len(r.days))
	for day, n := range r.days {
		list = append(list, DayTotal{day, n.fullPANs, n.refusals})
	}
	slices.SortFunc(list, func(a, b DayTotal) int { return cmp.Compare(a.Day, b.Day) })
	return list
}

func (r *Report) disclosures() []Disclosure {
	list := make([]Disclosure, 0, len(r.opened.byKey))
	for key, n := range r.opened.byKey {
		if n.inPeriod > 0 {
			list = append(list, Disclosure{key.day, key.principal, key.tenant, key.purpose, n.inPeriod})
		}
	}
	slices.SortFunc(list, func(a, b Disclosure) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), -cmp.Compare(a.Count, b.Count), cmp.Compare(a.Principal, b.Principal),
			cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Purpose, b.Purpose))
	})
	return list
}

func (r *Report) refusals() []Refusal {
	list := make([]Refusal, 0, len(r.refused.byKey))
	for key, n := range r.refused.byKey {
		list = append(list, Refusal{key.principal, key.tenant, key.action, key.reason, n.count, n.first, n.last})
	}
	slices.SortFunc(list, func(a, b Refusal) int {
		return cmp.Or(-cmp.Compare(a.Count, b.Count), cmp.Compare(a.Principal, b.Principal), cmp.Compare(a.Tenant, b.Tenant),
			cmp.Compare(a.Action, b.Action), cmp.Compare(a.Reason, b.Reason))
	})
	return list
}

// callerList has the new ones first.
func (r *Report) callerList() []Caller {
	list := make([]Caller, 0, len(r.callers.byKey))
	for key, n := range r.callers.byKey {
		if n.calls > 0 {
			list = append(list, Caller{
				Principal: key.principal, Tenant: key.tenant, New: r.period.Has(n.first.Time),
				Calls: n.calls, Refusals: n.refusals, FullPANs: n.fullPANs, First: n.first, Last: n.last,
			})
		}
	}
	slices.SortFunc(list, func(a, b Caller) int {
		if a.New != b.New {
			if a.New {
				return -1
			}
			return 1
		}
		return cmp.Or(-cmp.Compare(a.FullPANs, b.FullPANs), -cmp.Compare(a.Refusals, b.Refusals),
			cmp.Compare(a.Principal, b.Principal), cmp.Compare(a.Tenant, b.Tenant))
	})
	return list
}
