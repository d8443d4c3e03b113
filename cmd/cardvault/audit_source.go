package main

import (
	"context"
	"errors"
	"iter"
	"os"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/review"
)

// reviewSource is where search and report read audit entries from: an exported
// folder, the whole log, or else the caller's tenant.
type reviewSource struct {
	dir string
	all bool
}

func (r *reviewSource) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.dir, "dir", "", "read this folder, as cardvault audit export wrote it; no server is asked")
	cmd.Flags().BoolVar(&r.all, "all", false, "read the whole log, of every tenant: for staff")
	cmd.MarkFlagsMutuallyExclusive("dir", "all")
}

// reviewLog is an opened source.
type reviewLog struct {
	// name says in words what it is.
	name string
	// read returns the entries from the index first on, in order; nil where the source
	// is a tenant's, whose entries have no index.
	read func(ctx context.Context, first int64) iter.Seq2[audit.LogEntry, error]
	// tenant is the connection to read a tenant's entries through.
	tenant *session
}

// run makes a command's work of what it does with a source.
func (r *reviewSource) run(c *connection, do func(ctx context.Context, out printer, log reviewLog) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if r.dir != "" {
			out, err := newPrinter(cmd.OutOrStdout(), c.output)
			if err != nil {
				return err
			}
			log, err := openReviewFolder(r.dir)
			if err != nil {
				return err
			}
			return do(cmd.Context(), out, log)
		}
		return c.runLong(func(ctx context.Context, s *session, _ []string) error {
			if r.all {
				return do(ctx, s.out, reviewLog{name: "the whole log of " + c.addr, read: s.readReviewLog})
			}
			return do(ctx, s.out, reviewLog{name: "one tenant's entries of " + c.addr, tenant: s})
		})(cmd, args)
	}
}

const nextReviewFolder = "check the folder with cardvault audit verify, or export it again with cardvault audit export"

func openReviewFolder(dir string) (reviewLog, error) {
	folder := os.DirFS(dir)
	checkpoint, err := review.Folder(folder)
	if err != nil {
		return reviewLog{}, usage(nextReviewFolder, "--dir: %w", err)
	}
	return reviewLog{
		name: "the log " + checkpoint.Origin + " in the folder " + dir,
		read: func(ctx context.Context, first int64) iter.Seq2[audit.LogEntry, error] {
			return func(yield func(audit.LogEntry, error) bool) {
				for e, err := range review.Entries(folder, checkpoint.Size, first) {
					if err == nil {
						err = ctx.Err()
					}
					if errors.Is(err, review.ErrFolder) {
						err = failed(nextReviewFolder, "--dir: %w", err)
					}
					if !yield(e, err) || err != nil {
						return
					}
				}
			}
		},
	}, nil
}

// readReviewLog streams the log from an index on. The server ends a stream with
// the age of its connection, or when it stops: another is opened where the one
// before brought something.
func (s *session) readReviewLog(ctx context.Context, first int64) iter.Seq2[audit.LogEntry, error] {
	return func(yield func(audit.LogEntry, error) bool) {
		for {
			began := first
			err := s.receiveReviewLog(ctx, &first, yield)
			if status.Code(err) == codes.Unavailable && first > began {
				continue
			}
			if err != nil && !errors.Is(err, errEnough) {
				yield(audit.LogEntry{}, err)
			}
			return
		}
	}
}

// receiveReviewLog reads one stream, and moves next past what it yielded.
func (s *session) receiveReviewLog(ctx context.Context, next *int64, yield func(audit.LogEntry, error) bool) error {
	return readLog(ctx, s.audit(), *next, false, s.timeout, func(batch audit.Batch) error {
		for _, e := range batch.Entries {
			if e.Index != *next {
				return failed("keep what it sent as evidence, and tell the operators", "the server sent entry %d of the log where %d was due", e.Index, *next)
			}
			*next++
			if !yield(e, nil) {
				return errEnough
			}
		}
		return nil
	})
}

// parseReviewed reads a body that came from a source.
func parseReviewed(body []byte, where string) (audit.Entry, error) {
	e, err := audit.Parse(body)
	if err != nil {
		return audit.Entry{}, failed("find out with cardvault audit verify what else was changed", "%s: %w", where, err)
	}
	return e, nil
}

// tenantPage returns a page of the tenant's entries.
func (s *session) tenantPage(ctx context.Context, f review.Filter, size int, token string) (*cardvaultv1.ListEntriesResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	request := &cardvaultv1.ListEntriesRequest{
		PageSize:  int32(min(size, 1000)), //nolint:gosec // it fits
		PageToken: token, StartTime: reviewStamp(f.Since), EndTime: reviewStamp(f.Until),
		Principal: f.Principal, Action: f.Action, Decision: f.Decision,
	}
	if f.Card != [16]byte{} {
		request.CardId = f.Card.String()
	}
	return s.audit().ListEntries(ctx, request)
}

func reviewStamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// parseReviewTime reads a flag with a time or an age; empty is the zero time.
func parseReviewTime(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if age, err := time.ParseDuration(text); err == nil && age >= 0 {
		return now.Add(-age), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, usage("give "+flag+" as 2026-01-31T15:04:05Z or as 24h", "%s: neither a time nor an age", flag)
	}
	return t, nil
}
