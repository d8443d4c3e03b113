package review

import (
	"fmt"
	"strconv"
	"time"
)

// maxColumns keeps a column wide enough to be seen on a phone.
const maxColumns = 62

// The plot's parts from top to bottom, in pixels. Across, everything is in
// percent: the plot is as wide as the page allows, and its text stays as large as
// all other text.
const (
	plotTop    = 10
	plotHeight = 160
	// leastHeight of a column that is not zero.
	leastHeight = 2
	// columnShare is how much of its slot a column takes.
	columnShare = 0.72
)

// plot is columns over time, as the page draws them.
type plot struct {
	ID, Title, Desc string
	Columns         []column
	Grid            []gridLine
	Dates           []date
}

type column struct {
	X, Width  string // percent
	Y, Height float64
	Title     string
	// Marked columns have an unusual day.
	Marked bool
}

type gridLine struct {
	Y     float64
	Label string
}

type date struct{ X, Anchor, Text string }

// series is what a plot shows: a count for each day.
type series struct {
	id, what    string
	first, last Day
	byDay       map[Day]int64
	marked      map[Day]bool
}

// slot is the days that one column stands for.
type slot struct {
	first, last Day
	count       int64
	marked      bool
}

func (s slot) days() string {
	if s.first == s.last {
		return s.first.String()
	}
	return s.first.String() + " to " + s.last.String()
}

// slots cuts the series into at most maxColumns of equal length.
func (s series) slots() []slot {
	days := int64(s.last-s.first) + 1
	step := max(1, (days+maxColumns-1)/maxColumns)
	for _, usual := range []int64{7, 28} {
		if step > 1 && step <= usual {
			step = usual
			break
		}
	}
	var slots []slot
	for day := s.first; day <= s.last; day += Day(step) {
		one := slot{first: day, last: min(day+Day(step)-1, s.last)}
		for d := one.first; d <= one.last; d++ {
			one.count += s.byDay[d]
			one.marked = one.marked || s.marked[d]
		}
		slots = append(slots, one)
	}
	return slots
}

// draw lays the series out. Nil: there is nothing to show.
func (s series) draw() *plot {
	slots := s.slots()
	var highest slot
	for _, one := range slots {
		if one.count > highest.count {
			highest = one
		}
	}
	if highest.count == 0 {
		return nil
	}
	per := "day"
	if n := slots[0].last - slots[0].first + 1; n > 1 {
		per = fmt.Sprintf("%d days", n)
	}
	p := &plot{
		ID:    s.id,
		Title: fmt.Sprintf("%s per %s", s.what, per),
		Desc: fmt.Sprintf("Columns over time, %s to %s. The highest is %s: %s.",
			s.first, s.last, highest.days(), decimal(highest.count)),
		Dates: dates(slots),
	}
	step, top := scale(highest.count)
	for value := int64(0); value <= top; value += step {
		p.Grid = append(p.Grid, gridLine{Y: plotTop + plotHeight*(1-float64(value)/float64(top)), Label: short(value)})
	}
	for i, one := range slots {
		if one.count > 0 {
			p.Columns = append(p.Columns, one.draw(i, len(slots), top))
		}
	}
	return p
}

func (s slot) draw(i, n int, top int64) column {
	width := 100 / float64(n)
	height := max(leastHeight, plotHeight*float64(s.count)/float64(top))
	c := column{
		X:     percent(width * (float64(i) + (1-columnShare)/2)),
		Width: percent(width * columnShare),
		Y:     plotTop + plotHeight - height, Height: height,
		Title:  s.days() + ": " + decimal(s.count),
		Marked: s.marked,
	}
	if s.marked {
		c.Title += ", with an unusual day"
	}
	return c
}

// dates labels the first, the middle and the last slot, as far as there is room.
func dates(slots []slot) []date {
	n := len(slots)
	first, last := slots[0].first.String(), slots[n-1].first.String()
	if n == 1 {
		return []date{{"50%", "middle", first}}
	}
	list := []date{{"0%", "start", first}}
	if n >= 5 {
		middle := 100 * (float64(n/2) + 0.5) / float64(n)
		list = append(list, date{percent(middle), "middle", slots[n/2].first.String()})
	}
	return append(list, date{"100%", "end", last})
}

// scale returns steps of 1, 2 or 5 times a power of ten, at most five of them, and
// where they end.
func scale(highest int64) (step, top int64) {
	step = 1
	for i := 0; highest/step >= 5 && i < 3*18; i++ {
		step = []int64{1, 2, 5}[(i+1)%3] * tenTo((i+1)/3)
	}
	return step, (highest/step + 1) * step
}

func tenTo(n int) int64 {
	power := int64(1)
	for range n {
		power *= 10
	}
	return power
}

// short writes a number of the scale into little room.
func short(n int64) string {
	if n >= 1_000_000 {
		return strconv.FormatFloat(float64(n)/1e6, 'g', -1, 64) + " M"
	}
	return decimal(n)
}

func percent(share float64) string { return strconv.FormatFloat(share, 'f', 3, 64) + "%" }

// plots returns those of the page: full PANs and refusals over the period.
func (s *Summary) plots() (fullPANs, refusals *plot) {
	full := series{id: "full", what: "Full PANs", byDay: map[Day]int64{}, marked: map[Day]bool{}}
	full.first, full.last = s.reach()
	refused := series{id: "refused", what: "Refusals", first: full.first, last: full.last, byDay: map[Day]int64{}}
	for _, d := range s.Days {
		full.byDay[d.Day] = d.FullPANs
		refused.byDay[d.Day] = d.Refusals
	}
	for _, u := range s.Unusual {
		full.marked[u.Day] = true
	}
	return full.draw(), refused.draw()
}

// reach returns the first and the last day of the period, or of the entries where
// the period has no bound.
func (s *Summary) reach() (first, last Day) {
	first, last = DayOf(s.Begins), DayOf(s.Made)
	if !s.Period.Since.IsZero() {
		first = DayOf(s.Period.Since)
	}
	if !s.Period.Until.IsZero() {
		last = DayOf(s.Period.Until.Add(-time.Nanosecond))
	}
	if n := len(s.Days); n > 0 {
		first, last = min(first, s.Days[0].Day), max(last, s.Days[n-1].Day)
	}
	return first, max(first, last)
}
