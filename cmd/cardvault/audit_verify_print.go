package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/cardvault/cardvault/vault/archive"
)

// verified is what a folder came to, as JSON.
type verified struct {
	*archive.Report
	Seconds float64 `json:"seconds"`
}

// printVerified prints a report: what the log is, and what is wrong with it.
func printVerified(out printer, v verified) error {
	if out.json {
		text, err := json.Marshal(v)
		if err != nil {
			return failed("", "encode the report: %w", err)
		}
		return out.lines(string(text))
	}
	err := out.table(
		table.Row{"LOG", "ENTRIES", "DROPPED", "REPLICAS", "FROM", "TO", "ROOT"},
		table.Row{v.Origin, v.Entries, v.Dropped, v.Chains, moment(v.First), moment(v.Last), v.Root.String()},
	)
	if err != nil {
		return err
	}
	if v.Good() {
		return out.lines("", fmt.Sprintf("Nothing is wrong. %s entries/s.", perSecond(v.Entries, v.Seconds)))
	}
	rows := make([]table.Row, 0, len(v.Findings))
	for _, f := range v.Findings {
		index := ""
		if f.Index != archive.NoIndex {
			index = strconv.FormatInt(f.Index, 10)
		}
		rows = append(rows, table.Row{f.Class, f.Path, index, oneLine(f.Text)})
	}
	if err := out.lines(""); err != nil {
		return err
	}
	if err := out.table(table.Row{"FINDING", "FILE", "INDEX", "WHAT"}, rows...); err != nil {
		return err
	}
	return out.lines(untold(v.Report)...)
}

// untold says of which classes there is more than was printed.
func untold(r *archive.Report) []string {
	told := map[archive.Class]int64{}
	for _, f := range r.Findings {
		told[f.Class]++
	}
	var lines []string
	for _, kind := range verifyKinds() {
		for _, class := range kind.classes {
			if more := r.Counts[class] - told[class]; more > 0 {
				lines = append(lines, fmt.Sprintf("%s: %d more", class, more))
			}
		}
	}
	return lines
}

// moment prints a time; nothing for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func perSecond(n int64, seconds float64) string {
	return strconv.FormatFloat(float64(n)/max(seconds, 1e-9), 'f', 0, 64)
}
