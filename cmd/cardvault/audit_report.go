package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/cardvault/cardvault/vault/review"
)

// reportDays is how far back a report goes by default.
const reportDays = 30

func auditReport(c *connection) *cobra.Command {
	var (
		source             reviewSource
		since, until, page string
	)
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Count what a reviewer looks at: full PANs, refusals, new callers, the server's own acts",
		Long: `Count what a reviewer of the audit log looks at in a period: who got how many full PANs
for what purpose per day, unusual days, who was refused what, which callers are new, which
policies were in force, and what the server did by itself. It reads all entries there are:
those before the period tell what is new in it.

It serves the daily log review of PCI DSS 4.0.1, 10.4.1 and 10.4.1.1, and the reviews of
access of 7.2.4 and 7.2.5.1. It counts entries and does not prove them: cardvault audit
verify does.`,
		Example: `  cardvault audit report --as auditor
  cardvault audit report --since 24h --all --as staff-auditor --output json
  cardvault audit report --dir log --since 2026-01-01T00:00:00Z --until 2026-02-01T00:00:00Z --html january.html`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			now := time.Now().UTC()
			period, err := parsePeriod(since, until, now)
			if err != nil {
				return err
			}
			return source.run(c, func(ctx context.Context, out printer, log reviewLog) error {
				report, err := countReviewed(ctx, log, period)
				if err != nil {
					return err
				}
				report.Source, report.Made = log.name, now
				if page != "" {
					if err := writeWhole("--html", page, report.WriteHTML); err != nil {
						return err
					}
				}
				return printReport(out, report.Summary())
			})(cmd, args)
		},
	}
	source.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&since, "since", "", fmt.Sprintf("begin of the period: RFC 3339 time, or how long ago, such as 24h (default: midnight UTC %d days ago)", reportDays))
	flags.StringVar(&until, "until", "", "end of the period, likewise (default: now)")
	flags.StringVar(&page, "html", "", "write the report to this file too, as a page with plots that needs nothing else")
	return cmd
}

func parsePeriod(since, until string, now time.Time) (review.Period, error) {
	begin, err := parseReviewTime("--since", since, now)
	if err != nil {
		return review.Period{}, err
	}
	end, err := parseReviewTime("--until", until, now)
	if err != nil {
		return review.Period{}, err
	}
	if end.IsZero() {
		end = now
	}
	if begin.IsZero() {
		begin = (review.DayOf(end) - reportDays).Time()
	}
	if !begin.Before(end) {
		return review.Period{}, usage("give a --since before --until", "the period has no length")
	}
	return review.Period{Since: begin.UTC(), Until: end.UTC()}, nil
}

// countReviewed reads all of a source up to the period's end.
func countReviewed(ctx context.Context, log reviewLog, period review.Period) (*review.Report, error) {
	report := review.New(period)
	if log.tenant != nil {
		return report, countTenant(ctx, log.tenant, period, report)
	}
	for at, err := range log.read(ctx, 0) {
		if err != nil {
			return nil, err
		}
		if at.Body == nil {
			report.Drop()
			continue
		}
		e, err := parseReviewed(at.Body, fmt.Sprintf("entry %d of the log", at.Index))
		if err != nil {
			return nil, err
		}
		report.Add(at.Index, e)
	}
	return report, nil
}

func countTenant(ctx context.Context, s *session, period review.Period, report *review.Report) error {
	token := ""
	for {
		page, err := s.tenantPage(ctx, review.Filter{Until: period.Until}, 1000, token)
		if err != nil {
			return err
		}
		for _, m := range page.GetEntries() {
			e, err := parseReviewed(m.GetBody(), "entry "+place(m.GetReceipt()))
			if err != nil {
				return err
			}
			report.Add(-1, e)
		}
		if token = page.GetNextPageToken(); token == "" {
			return nil
		}
	}
}
