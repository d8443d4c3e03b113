package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

func auditEntry(c *connection) *cobra.Command {
	return &cobra.Command{
		Use:   "entry RECEIPT|INDEX",
		Short: "Show one audit entry, by its receipt or by its index in the log",
		Long: `Show one audit entry, by its receipt, REPLICA/NUMBER, as every answer has it, or by its
index in the log. The entry is there as soon as a checkpoint covers it.`,
		Example: `  cardvault audit entry 0198c5d2-6d0e-4c39-9a57-52a1f6d7c1aa/17 --as auditor
  cardvault audit entry 1024 --as staff-auditor --output json`,
		Args: cobra.ExactArgs(1),
		RunE: c.run(func(ctx context.Context, s *session, args []string) error {
			at, err := parseEntryPlace(args[0])
			if err != nil {
				return err
			}
			request := &cardvaultv1.GetEntryRequest{Place: &cardvaultv1.GetEntryRequest_Index{Index: at.index}}
			if at.receipt != nil {
				request.Place = &cardvaultv1.GetEntryRequest_Receipt{Receipt: at.receipt}
			}
			answer, err := s.audit().GetEntry(ctx, request)
			if err != nil {
				return err
			}
			return s.out.show(answer, append(table.Row{"INDEX"}, entryHeader()...),
				append(table.Row{answer.GetIndex()}, entryRow(answer.GetEntry())...))
		}),
	}
}

// entryPlace is which entry an argument names: by receipt or, where that is nil, by
// index.
type entryPlace struct {
	receipt *cardvaultv1.Receipt
	index   int64
}

func parseEntryPlace(text string) (entryPlace, error) {
	const next = "give a receipt, REPLICA/NUMBER, or an index from 0"
	replica, number, isReceipt := strings.Cut(text, "/")
	if !isReceipt {
		number = text
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 {
		return entryPlace{}, usage(next, "neither a receipt nor an index")
	}
	if !isReceipt {
		return entryPlace{index: n}, nil
	}
	id, err := uuid.Parse(replica)
	if err != nil {
		return entryPlace{}, usage(next, "the receipt's replica is no UUID")
	}
	return entryPlace{receipt: &cardvaultv1.Receipt{Replica: id.String(), Number: n}}, nil
}
