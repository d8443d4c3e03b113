package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/audit"
)

// auditLog is the AuditService.
type auditLog struct {
	pb.UnsafeAuditServiceServer

	vault *vault.Vault
}

func (s *auditLog) ListEntries(ctx context.Context, r *pb.ListEntriesRequest) (*pb.ListEntriesResponse, error) {
	query := vault.EntryQuery{
		PageSize: int(r.GetPageSize()), PageToken: r.GetPageToken(),
		Principal: r.GetPrincipal(), CardID: r.GetCardId(), Action: r.GetAction(), Decision: r.GetDecision(),
	}
	for _, bound := range []struct {
		field string
		given *timestamppb.Timestamp
		to    *time.Time
	}{{"start_time", r.GetStartTime(), &query.Start}, {"end_time", r.GetEndTime(), &query.End}} {
		switch {
		case bound.given == nil:
		case bound.given.CheckValid() != nil:
			return nil, s.vault.Refuse(ctx, callerOf(ctx), access.ListEntries, errTimestamp.In(bound.field))
		default:
			*bound.to = bound.given.AsTime()
		}
	}
	records, next, receipt, err := s.vault.ListEntries(ctx, callerOf(ctx), query)
	if err != nil {
		return nil, err
	}
	response := &pb.ListEntriesResponse{NextPageToken: next, Receipt: receiptTo(receipt)}
	for _, record := range records {
		entry, err := entryTo(record)
		if err != nil {
			return nil, err
		}
		response.Entries = append(response.Entries, entry)
	}
	return response, nil
}

// entryTo reads a record. One that does not say what it was written to say fails
// the whole listing: an audit log with a hole that nobody mentions is worse.
func entryTo(record audit.Record) (*pb.Entry, error) {
	e, err := record.Entry()
	if err != nil {
		return nil, fmt.Errorf("audit entry %d of replica %s: %w", record.Number, record.Replica, err)
	}
	return &pb.Entry{
		Receipt: receiptTo(vault.Receipt{Replica: record.Replica, Number: record.Number}),
		Time:    timestamppb.New(e.Time),

		Principal: e.Principal, CertificateSerial: e.CertSerial, Tenant: e.Tenant,
		Action: e.Action, Decision: e.Decision.String(), Policy: e.Policy, Purpose: e.Purpose, View: e.View,
		CardId: textOf(e.Card), KeyId: textOf(e.Key), BinRange: e.BINRange, RequestId: textOf(e.RequestID),
		Result: e.Result, Count: int32(e.Count), //nolint:gosec // at most 1000
		Index: e.Index, Digest: digestTo(e.Digest),
		Body: record.Body,
	}, nil
}

// textOf writes an id; the zero id is none.
func textOf(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

// digestTo leaves the zero digest out.
func digestTo(h audit.Hash) []byte {
	if h == (audit.Hash{}) {
		return nil
	}
	return h[:]
}
