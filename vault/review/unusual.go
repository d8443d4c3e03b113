package review

import (
	"cmp"
	"slices"
)

// What makes a day unusual. The rule is as simple as it can be said in a sentence,
// which the page does; it finds the step, not the fraud.
const (
	// unusualLeast full PANs of one caller for one purpose in a day.
	unusualLeast = 20
	// unusualTimes as many as on the busiest of the days before.
	unusualTimes = 3
	// comparedDays before are looked at.
	comparedDays = 28
	// learnedDays of the log must lie before the day: nothing is usual in a new log.
	learnedDays = 7
)

// Unusual is a day on which a caller got many more full PANs for a purpose than
// on any day of the four weeks before.
type Unusual struct {
	Day       Day    `json:"day"`
	Principal string `json:"principal"`
	Tenant    string `json:"tenant"`
	Purpose   string `json:"purpose"`
	// Count of the whole day, and Busiest of the days before.
	Count   int64 `json:"count"`
	Busiest int64 `json:"busiest"`
}

// comparedFrom is the first day that the period's days are compared with.
func (r *Report) comparedFrom() Day { return DayOf(r.period.Since) - comparedDays }

func (r *Report) unusual() []Unusual {
	found := []Unusual{}
	for key, n := range r.opened.byKey {
		if n.inPeriod == 0 || n.inDay < unusualLeast || key.day < DayOf(r.begins.Time)+learnedDays {
			continue
		}
		busiest := r.busiestBefore(key)
		if n.inDay > unusualTimes*busiest {
			found = append(found, Unusual{
				Day: key.day, Principal: key.principal, Tenant: key.tenant, Purpose: key.purpose,
				Count: n.inDay, Busiest: busiest,
			})
		}
	}
	slices.SortFunc(found, func(a, b Unusual) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), -cmp.Compare(a.Count, b.Count), cmp.Compare(a.Principal, b.Principal),
			cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Purpose, b.Purpose))
	})
	return found
}

func (r *Report) busiestBefore(key openedKey) int64 {
	var busiest int64
	for range comparedDays {
		key.day--
		if n, ok := r.opened.byKey[key]; ok {
			busiest = max(busiest, n.inDay)
		}
	}
	return busiest
}
