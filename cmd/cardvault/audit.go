package main

import (
	"context"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "Read, prove, verify and ship the audit log"}
	for _, connected := range []func(*connection) *cobra.Command{
		auditList, auditSearch, auditReport, auditCheckpoint, auditEntry, auditProve, auditExport,
	} {
		c := &connection{}
		sub := connected(c)
		c.register(sub)
		cmd.AddCommand(sub)
	}
	cmd.AddCommand(auditKey(), auditCheckProof(), auditVerify(), auditShip(), auditWitness())
	return cmd
}

func auditList(c *connection) *cobra.Command {
	var (
		p     page
		since string
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the tenant's audit entries, oldest first, a page at a time",
		Example: `  cardvault audit list --since 1h --as auditor
  cardvault audit list --since 2026-01-01T00:00:00Z --page-size 1000 --as auditor --output json`,
		Args: cobra.NoArgs,
		RunE: c.run(func(ctx context.Context, s *session, _ []string) error {
			start, err := parseSince(since, time.Now())
			if err != nil {
				return err
			}
			answer, err := s.audit().ListEntries(ctx, &cardvaultv1.ListEntriesRequest{
				PageSize: p.size, PageToken: p.token, StartTime: start,
			})
			if err != nil {
				return err
			}
			rows := make([]table.Row, 0, len(answer.GetEntries()))
			for _, e := range answer.GetEntries() {
				rows = append(rows, entryRow(e))
			}
			if err := s.out.show(answer, entryHeader(), rows...); err != nil {
				return err
			}
			return s.out.more(answer.GetNextPageToken())
		}),
	}
	p.register(cmd)
	cmd.Flags().StringVar(&since, "since", "", "RFC 3339 time, or how long ago, such as 24h (default: the first entry)")
	return cmd
}

// parseSince reads a time or an age; empty is no time.
func parseSince(text string, now time.Time) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // absent is a value of its own on the wire
	}
	if age, err := time.ParseDuration(text); err == nil && age >= 0 {
		return timestamppb.New(now.Add(-age)), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, usage("give --since as 2026-01-31T15:04:05Z or as 24h", "--since: neither a time nor an age")
	}
	return timestamppb.New(t), nil
}

func entryHeader() table.Row {
	return table.Row{"TIME", "PRINCIPAL", "ACTION", "DECISION", "POLICY", "PURPOSE", "VIEW", "CARD", "RESULT", "AUDIT ENTRY"}
}

func entryRow(e *cardvaultv1.Entry) table.Row {
	return table.Row{
		instant(e.GetTime()), e.GetPrincipal(), e.GetAction(), e.GetDecision(), e.GetPolicy(), e.GetPurpose(), e.GetView(),
		e.GetCardId(), e.GetResult(), place(e.GetReceipt()),
	}
}
