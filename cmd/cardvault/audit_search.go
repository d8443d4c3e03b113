package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/review"
)

func auditSearch(c *connection) *cobra.Command {
	var (
		source reviewSource
		flags  searchFlags
	)
	cmd := &cobra.Command{
		Use:   "search",
		Short: "Find audit entries by time, principal, card, action and decision",
		Long: `Find audit entries that say exactly what the flags say: of the caller's tenant, oldest
first; with --all or --dir of the whole log, in its order.`,
		Example: `  cardvault audit search --card 0198c5d2-6d0e-4c39-9a57-52a1f6d7c1aa --as auditor
  cardvault audit search --action DetokenizeCard --decision deny --since 24h --all --as staff-auditor
  cardvault audit search --principal spiffe://example.com/tenant/acme/support --dir log --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			search, err := flags.parse(time.Now())
			if err != nil {
				return err
			}
			return source.run(c, func(ctx context.Context, out printer, log reviewLog) error {
				found, err := search.run(ctx, log)
				if err != nil {
					return err
				}
				return found.print(out, cmd.ErrOrStderr())
			})(cmd, args)
		},
	}
	source.register(cmd)
	flags.register(cmd)
	return cmd
}

// searchFlags is what to search for, as the command line has it.
type searchFlags struct {
	since, until, principal, card, action, decision, token string

	limit int
}

func (f *searchFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.since, "since", "", "entries at or after this RFC 3339 time, or as long ago, such as 24h")
	flags.StringVar(&f.until, "until", "", "entries before this time, or as long ago")
	flags.StringVar(&f.principal, "principal", "", "SPIFFE id of the caller")
	flags.StringVar(&f.card, "card", "", "id of the card")
	flags.StringVar(&f.action, "action", "", "what was asked for, such as DetokenizeCard")
	flags.StringVar(&f.decision, "decision", "", "allow or deny")
	flags.IntVar(&f.limit, "limit", 1000, "show at most so many entries")
	flags.StringVar(&f.token, "page-token", "", "go on where the search before ended: what it printed")
}

func (f *searchFlags) parse(now time.Time) (entrySearch, error) {
	s := entrySearch{limit: f.limit, token: f.token}
	s.filter.Principal, s.filter.Action, s.filter.Decision = f.principal, f.action, f.decision
	var err error
	if s.filter.Since, err = parseReviewTime("--since", f.since, now); err != nil {
		return entrySearch{}, err
	}
	if s.filter.Until, err = parseReviewTime("--until", f.until, now); err != nil {
		return entrySearch{}, err
	}
	if f.card != "" {
		if s.filter.Card, err = uuid.Parse(f.card); err != nil {
			return entrySearch{}, usage(nextSteps["CARD_ID_MALFORMED"], "--card: not a card id")
		}
	}
	switch f.decision {
	case "", audit.Allow.String(), audit.Deny.String():
	default:
		return entrySearch{}, usage("give --decision allow or --decision deny", "--decision: neither of the two")
	}
	if f.limit < 1 {
		return entrySearch{}, usage("give --limit 1 or more", "--limit: too low")
	}
	return s, nil
}

// entrySearch is one search.
type entrySearch struct {
	filter review.Filter
	limit  int
	token  string
}

// foundEntries is what a search found.
type foundEntries struct {
	entries []*cardvaultv1.Entry
	// indexes in the log; none where the entries are a tenant's.
	indexes []int64
	// dropped is how many could not be looked at.
	dropped int64
	// next is where to go on; empty: there is no more.
	next string
}

func (s entrySearch) run(ctx context.Context, log reviewLog) (foundEntries, error) {
	if log.tenant != nil {
		return s.ofTenant(ctx, log.tenant)
	}
	return s.ofLog(ctx, log)
}

// ofTenant has the server search. A page can be empty and have a next one.
func (s entrySearch) ofTenant(ctx context.Context, conn *session) (foundEntries, error) {
	found := foundEntries{next: s.token}
	for {
		page, err := conn.tenantPage(ctx, s.filter, s.limit-len(found.entries), found.next)
		if err != nil {
			return foundEntries{}, err
		}
		found.entries = append(found.entries, page.GetEntries()...)
		found.next = page.GetNextPageToken()
		if found.next == "" || len(found.entries) >= s.limit {
			return found, nil
		}
	}
}

// ofLog searches a whole log, one entry further than the limit: its index is where
// the next search goes on.
func (s entrySearch) ofLog(ctx context.Context, log reviewLog) (foundEntries, error) {
	first, err := s.firstIndex()
	if err != nil {
		return foundEntries{}, err
	}
	var found foundEntries
	for at, err := range log.read(ctx, first) {
		if err != nil {
			return foundEntries{}, err
		}
		if at.Body == nil {
			found.dropped++
			continue
		}
		e, err := parseReviewed(at.Body, fmt.Sprintf("entry %d of the log", at.Index))
		switch {
		case err != nil:
			return foundEntries{}, err
		case !s.filter.Match(e):
		case len(found.entries) == s.limit:
			found.next = strconv.FormatInt(at.Index, 10)
			return found, nil
		default:
			found.entries = append(found.entries, entryMessage(e, at.Body))
			found.indexes = append(found.indexes, at.Index)
		}
	}
	return found, nil
}

func (s entrySearch) firstIndex() (int64, error) {
	if s.token == "" {
		return 0, nil
	}
	first, err := strconv.ParseInt(s.token, 10, 64)
	if err != nil || first < 0 {
		return 0, usage(nextSteps["PAGE_TOKEN_MALFORMED"], "--page-token: not one of this source")
	}
	return first, nil
}

// print shows what was found, and tells people, whatever the form, of what could
// not be looked at.
func (f foundEntries) print(out printer, told io.Writer) error {
	if f.dropped > 0 {
		fmt.Fprintf(told, "cardvault: %d entries were not searched: the retention policy dropped them\n", f.dropped)
	}
	header := entryHeader()
	if f.indexes != nil {
		header = append(table.Row{"INDEX"}, header...)
	}
	rows := make([]table.Row, 0, len(f.entries))
	for i, e := range f.entries {
		row := shownRow(entryRow(e))
		if f.indexes != nil {
			row = append(table.Row{f.indexes[i]}, row...)
		}
		rows = append(rows, row)
	}
	if err := out.show(&cardvaultv1.ListEntriesResponse{Entries: f.entries, NextPageToken: f.next}, header, rows...); err != nil {
		return err
	}
	return out.more(f.next)
}

// shownRow escapes what could move the cursor: a folder may be anyone's.
func shownRow(row table.Row) table.Row {
	for i, cell := range row {
		if text, ok := cell.(string); ok {
			row[i] = review.Shown(text)
		}
	}
	return row
}

// entryMessage is an entry as the API answers it.
func entryMessage(e audit.Entry, body []byte) *cardvaultv1.Entry {
	id := func(id uuid.UUID) string {
		if id == uuid.Nil {
			return ""
		}
		return id.String()
	}
	m := &cardvaultv1.Entry{
		Receipt: &cardvaultv1.Receipt{Replica: e.Replica.String(), Number: e.Number},
		Time:    timestamppb.New(e.Time), Principal: e.Principal, CertificateSerial: e.CertSerial, Tenant: e.Tenant,
		Action: e.Action, Decision: e.Decision.String(), Policy: e.Policy, Purpose: e.Purpose, View: e.View,
		CardId: id(e.Card), KeyId: id(e.Key), BinRange: e.BINRange, RequestId: id(e.RequestID),
		Result: e.Result, Count: int32(e.Count), Body: body, Index: e.Index, //nolint:gosec // a page has at most 1000 items
	}
	if e.Digest != (audit.Hash{}) {
		m.Digest = e.Digest[:]
	}
	return m
}
