package main

import (
	"context"
	"errors"
	"iter"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault/audit"
)

// shippedLog is the log as a server sends it. What it sends is verified by the
// shipper.
type shippedLog struct {
	client cardvaultv1.AuditServiceClient
}

// shipCallTimeout bounds a call that has one answer.
const shipCallTimeout = 30 * time.Second

// Read follows the log. The server ends a stream from time to time, with the age of
// the connection or when it stops; the shipper opens another.
func (l *shippedLog) Read(ctx context.Context, from int64) iter.Seq2[audit.Batch, error] {
	return func(yield func(audit.Batch, error) bool) {
		err := readLog(ctx, l.client, from, true, 0, func(batch audit.Batch) error {
			if !yield(batch, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(audit.Batch{}, err)
		}
	}
}

// Checkpoint asks for the newest one.
func (l *shippedLog) Checkpoint(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, shipCallTimeout)
	defer cancel()
	answer, err := l.client.GetCheckpoint(ctx, &cardvaultv1.GetCheckpointRequest{})
	return answer.GetCheckpoint(), err
}

// ProveConsistency asks for a proof.
func (l *shippedLog) ProveConsistency(ctx context.Context, first, second int64) (tlog.TreeProof, error) {
	ctx, cancel := context.WithTimeout(ctx, shipCallTimeout)
	defer cancel()
	answer, err := l.client.GetConsistencyProof(ctx, &cardvaultv1.GetConsistencyProofRequest{FirstSize: first, SecondSize: second})
	if err != nil {
		return nil, err
	}
	var proof tlog.TreeProof
	for _, h := range answer.GetHashes() {
		if len(h) != len(tlog.Hash{}) {
			return nil, nil // no proof: it proves nothing
		}
		proof = append(proof, tlog.Hash(h))
	}
	return proof, nil
}
