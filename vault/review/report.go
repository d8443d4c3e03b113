package review

import (
	"time"

	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/audit"
)

// Limit is how many keys a table of a Report has room for. It bounds the memory:
// a key is a few hundred bytes in practice, and never more than 3 KB.
const Limit = 20_000

// Report counts the entries of a period. Entries before it are wanted too: they
// tell who was known already, which policy was in force, and what is usual.
// It is not safe for concurrent use.
type Report struct {
	// Source says in words where the entries are from, and Made when the report was
	// made.
	Source string
	Made   time.Time

	period   Period
	limit    int
	read     int64
	dropped  int64
	begins   Place // of the log: its first entry
	entries  int64 // in the period
	days     map[Day]*dayTotals
	opened   *tally[openedKey, openedCount]
	refused  *tally[refusedKey, refusedCount]
	callers  *tally[callerKey, callerCount]
	acts     *tally[Act, int64]
	policies *tally[audit.Hash, policyCount]
	before   policyAct // the last policy put in force before the period
}

// dayTotals are of a day in the period.
type dayTotals struct{ fullPANs, refusals int64 }

type callerKey struct{ principal, tenant string }

type openedKey struct {
	callerKey

	purpose string
	day     Day
}

// openedCount has the full PANs of the period, and those of the whole days that it
// and the time before it for comparison consist of.
type openedCount struct{ inPeriod, inDay int64 }

type refusedKey struct {
	callerKey

	action, reason string
}

type refusedCount struct {
	span

	count int64
}

// callerCount has a caller's first and last entry before the period's end, and
// counts those of the period.
type callerCount struct {
	span

	calls, refusals, fullPANs int64
}

type policyCount struct {
	span

	times int64
}

// New returns the empty report on a period.
func New(p Period) *Report { return newReport(p, Limit) }

func newReport(p Period, limit int) *Report {
	return &Report{
		period: p, limit: limit, days: make(map[Day]*dayTotals),
		opened:   newTally[openedKey, openedCount](limit),
		refused:  newTally[refusedKey, refusedCount](limit),
		callers:  newTally[callerKey, callerCount](limit),
		acts:     newTally[Act, int64](limit),
		policies: newTally[audit.Hash, policyCount](limit),
	}
}

// Drop takes note of an entry whose body was dropped by the retention policy.
func (r *Report) Drop() { r.dropped++ }

// Add takes the entry at an index of the log; a negative one where it is not
// known. An entry is added once.
func (r *Report) Add(index int64, e audit.Entry) {
	at := placeOf(index, e)
	r.read++
	if r.begins.isZero() || at.compare(r.begins) < 0 {
		r.begins = at
	}
	if !r.period.reaches(e.Time) {
		return
	}
	in := r.period.Has(e.Time)
	if in {
		r.entries++
	}
	if e.Principal == "" {
		r.act(at, e, in)
		return
	}
	r.call(at, e, in)
}

// Refused reports whether the entry is of a call that was refused, by policy or
// for any other reason.
func Refused(e audit.Entry) bool { return e.Decision != audit.Allow || e.Result != resultOK }

const resultOK = "OK"

// FullPAN reports whether the entry is of a full PAN that left the vault. A batch
// has an entry for each.
func FullPAN(e audit.Entry) bool {
	return e.Action == string(access.DetokenizeCard) && e.View == "FULL" && !Refused(e)
}

func (r *Report) call(at Place, e audit.Entry, in bool) {
	who := callerKey{e.Principal, e.Tenant}
	caller := r.callers.of(who)
	caller.add(at)
	if in {
		caller.calls++
	}
	switch {
	case FullPAN(e):
		r.fullPAN(caller, e, in)
	case Refused(e) && in:
		caller.refusals++
		r.day(e.Time).refusals++
		refused := r.refused.of(refusedKey{who, e.Action, e.Result})
		refused.add(at)
		refused.count++
	}
}

func (r *Report) fullPAN(caller *callerCount, e audit.Entry, in bool) {
	day := DayOf(e.Time)
	if !in && day < r.comparedFrom() {
		return
	}
	opened := r.opened.of(openedKey{callerKey{e.Principal, e.Tenant}, e.Purpose, day})
	opened.inDay++
	if in {
		opened.inPeriod++
		caller.fullPANs++
		r.day(e.Time).fullPANs++
	}
}

func (r *Report) day(t time.Time) *dayTotals {
	day := DayOf(t)
	if r.days[day] == nil {
		r.days[day] = &dayTotals{}
	}
	return r.days[day]
}
