package main

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault/audit"
)

// readLog reads one stream of the log, from an index on, and hands what comes to
// take until the stream ends or take returns an error. The server ends a stream with
// the age of its connection, or when it stops.
//
// patience is for each message: the stream lasts as long as the log is. 0: one that is
// followed may have nothing to say for long.
func readLog(ctx context.Context, client cardvaultv1.AuditServiceClient, from int64, follow bool, patience time.Duration, take func(audit.Batch) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(time.Hour, func() { cancel(context.DeadlineExceeded) })
	defer late.Stop()
	wait := func() {
		late.Stop()
		if patience > 0 {
			late.Reset(patience)
		}
	}
	wait()
	stream, err := client.ReadLog(ctx, &cardvaultv1.ReadLogRequest{StartIndex: from, Follow: follow})
	if err != nil {
		return err
	}
	for {
		wait()
		answer, err := stream.Recv()
		late.Stop()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded):
			return status.Error(codes.DeadlineExceeded, "the server sent nothing for too long")
		case err != nil:
			return err
		}
		if err := take(logBatch(answer)); err != nil {
			return err
		}
	}
}

// errEnough ends a stream whose reader has enough.
var errEnough = errors.New("enough")

// logBatch reads what the server sent. What is not a hash is none, which proves
// nothing.
func logBatch(answer *cardvaultv1.ReadLogResponse) audit.Batch {
	batch := audit.Batch{Entries: make([]audit.LogEntry, 0, len(answer.GetEntries()))}
	if len(answer.GetCheckpoint()) > 0 {
		batch.Checkpoint = answer.GetCheckpoint()
	}
	for _, e := range answer.GetEntries() {
		entry := audit.LogEntry{Index: e.GetIndex()}
		if len(e.GetBody()) > 0 {
			entry.Body = e.GetBody()
		} else if len(e.GetLeafHash()) == len(entry.Leaf) {
			entry.Leaf = audit.Hash(e.GetLeafHash())
		}
		batch.Entries = append(batch.Entries, entry)
	}
	return batch
}
