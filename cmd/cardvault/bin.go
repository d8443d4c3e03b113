package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

func binCommand() *cobra.Command {
	c := &connection{}
	cmd := &cobra.Command{
		Use:   "bin",
		Short: "Register, read, pause and resume BIN ranges, from which cards are issued",
	}
	c.register(cmd)
	cmd.AddCommand(binCreate(c), binGet(c), binList(c), binPause(c), binResume(c))
	return cmd
}

func binCreate(c *connection) *cobra.Command {
	var w write
	var reserved []string
	r := &cardvaultv1.BinRange{}
	cmd := &cobra.Command{
		Use:   "create ID",
		Short: "Register a BIN range",
		Long: `Register a BIN range: every PAN of one length that starts with one prefix, or a
sub-interval of them. No two ranges of any tenant may share a number.

First, last and reserved are free digits, the ones between prefix and check digit,
written with all their zeros: a 16-digit PAN with an 8-digit prefix has 7 of them.`,
		Example: `  cardvault bin create demo --prefix 90000000 --pan-length 16 --validity-months 36 --as security
  cardvault bin create small --prefix 90000001 --first 0000000 --last 0009999 --reserve 0000000-0000099 --as security`,
		Args: cobra.ExactArgs(1),
		RunE: c.run(func(ctx context.Context, s *session, args []string) error {
			r.Id = args[0]
			for _, text := range reserved {
				first, last, ok := strings.Cut(text, "-")
				if !ok {
					return usage("give --reserve as FIRST-LAST", "--reserve: not an interval")
				}
				r.Reserved = append(r.Reserved, &cardvaultv1.BinRange_Interval{First: first, Last: last})
			}
			answer, err := s.binRanges().CreateBinRange(ctx, &cardvaultv1.CreateBinRangeRequest{RequestId: w.id(), BinRange: r})
			if err != nil {
				return w.hint(err)
			}
			return s.out.show(answer, binHeader(), binRow(answer.GetBinRange()))
		}),
	}
	w.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&r.Prefix, "prefix", "", "first 6 to 17 digits of every PAN of the range")
	flags.Int32Var(&r.PanLength, "pan-length", 16, "digits of a PAN, check digit included")
	flags.StringVar(&r.First, "first", "", "first free digits (default: all zeros)")
	flags.StringVar(&r.Last, "last", "", "last free digits (default: all nines)")
	flags.StringArrayVar(&reserved, "reserve", nil, "free digits FIRST-LAST that are never issued; can be given again")
	flags.Int32Var(&r.ValidityMonths, "validity-months", 36, "months a new card is valid for")
	_ = cmd.MarkFlagRequired("prefix")
	return cmd
}

func binGet(c *connection) *cobra.Command {
	return &cobra.Command{
		Use:     "get ID",
		Short:   "Show a BIN range with its fill",
		Example: "  cardvault bin get demo --as security",
		Args:    cobra.ExactArgs(1),
		RunE: c.run(func(ctx context.Context, s *session, args []string) error {
			answer, err := s.binRanges().GetBinRange(ctx, &cardvaultv1.GetBinRangeRequest{Id: args[0]})
			if err != nil {
				return err
			}
			return s.out.show(answer, binHeader(), binRow(answer.GetBinRange()))
		}),
	}
}

func binList(c *connection) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "Show the tenant's BIN ranges",
		Example: "  cardvault bin list --as security\n  cardvault bin list --as security --output json | jq -r '.binRanges[].id'",
		Args:    cobra.NoArgs,
		RunE: c.run(func(ctx context.Context, s *session, _ []string) error {
			answer, err := s.binRanges().ListBinRanges(ctx, &cardvaultv1.ListBinRangesRequest{})
			if err != nil {
				return err
			}
			rows := make([]table.Row, 0, len(answer.GetBinRanges()))
			for _, r := range answer.GetBinRanges() {
				rows = append(rows, binRow(r))
			}
			return s.out.show(answer, binHeader(), rows...)
		}),
	}
}

func binPause(c *connection) *cobra.Command {
	return binChange(c, "pause", "Stop issuing from a BIN range; its cards keep working",
		func(ctx context.Context, ranges cardvaultv1.BinRangeServiceClient, requestID, id string) (binAnswer, error) {
			return ranges.PauseBinRange(ctx, &cardvaultv1.PauseBinRangeRequest{RequestId: requestID, Id: id})
		})
}

func binResume(c *connection) *cobra.Command {
	return binChange(c, "resume", "Let a paused or stopped BIN range issue again",
		func(ctx context.Context, ranges cardvaultv1.BinRangeServiceClient, requestID, id string) (binAnswer, error) {
			return ranges.ResumeBinRange(ctx, &cardvaultv1.ResumeBinRangeRequest{RequestId: requestID, Id: id})
		})
}

// binAnswer is an answer that shows one range.
type binAnswer interface {
	proto.Message
	GetBinRange() *cardvaultv1.BinRange
}

// binChange is a verb that changes the state of a range.
func binChange(
	c *connection, verb, short string,
	change func(ctx context.Context, ranges cardvaultv1.BinRangeServiceClient, requestID, id string) (binAnswer, error),
) *cobra.Command {
	var w write
	cmd := &cobra.Command{
		Use:     verb + " ID",
		Short:   short,
		Example: "  cardvault bin " + verb + " demo --as security",
		Args:    cobra.ExactArgs(1),
		RunE: c.run(func(ctx context.Context, s *session, args []string) error {
			answer, err := change(ctx, s.binRanges(), w.id(), args[0])
			if err != nil {
				return w.hint(err)
			}
			return s.out.show(answer, binHeader(), binRow(answer.GetBinRange()))
		}),
	}
	w.register(cmd)
	return cmd
}

func binHeader() table.Row {
	return table.Row{"ID", "PREFIX", "DIGITS", "STATE", "ISSUED", "CAPACITY", "FILL", "LIVE", "GUESS HITS", "DAYS LEFT", "VALID MONTHS"}
}

func binRow(r *cardvaultv1.BinRange) table.Row {
	daysLeft := ""
	if r.DaysToExhaustion != nil {
		daysLeft = strconv.FormatFloat(r.GetDaysToExhaustion(), 'f', 0, 64)
	}
	return table.Row{
		r.GetId(), r.GetPrefix(), r.GetPanLength(), word(r.GetState(), "STATE_"), r.GetIssued(), r.GetCapacity(),
		percent(r.GetFill()), r.GetLive(), percent(r.GetGuessHitRate()), daysLeft, r.GetValidityMonths(),
	}
}

// percent writes a share so that only a full range reads as 100 %, and only an
// empty one as 0.
func percent(share float64) string {
	switch {
	case share > 0 && share < 0.0001:
		return "<0.01 %"
	case share < 1:
		return fmt.Sprintf("%.2f %%", min(share*100, 99.99))
	default:
		return "100 %"
	}
}
