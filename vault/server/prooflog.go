package server

import (
	"context"

	"google.golang.org/grpc"

	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
)

func (s *auditLog) GetCheckpoint(ctx context.Context, _ *pb.GetCheckpointRequest) (*pb.GetCheckpointResponse, error) {
	signed, receipt, err := s.vault.GetCheckpoint(ctx, callerOf(ctx))
	if err != nil {
		return nil, err
	}
	return &pb.GetCheckpointResponse{Checkpoint: signed, Receipt: receiptTo(receipt)}, nil
}

func (s *auditLog) GetEntry(ctx context.Context, r *pb.GetEntryRequest) (*pb.GetEntryResponse, error) {
	found, receipt, err := s.vault.GetEntry(ctx, callerOf(ctx), placeOf(r, r.GetPlace() != nil))
	if err != nil {
		return nil, err
	}
	entry, err := entryTo(found.Record)
	if err != nil {
		return nil, err
	}
	return &pb.GetEntryResponse{Entry: entry, Index: found.Index, Receipt: receiptTo(receipt)}, nil
}

func (s *auditLog) GetInclusionProof(ctx context.Context, r *pb.GetInclusionProofRequest) (*pb.GetInclusionProofResponse, error) {
	found, proof, receipt, err := s.vault.ProveEntry(ctx, callerOf(ctx), placeOf(r, r.GetPlace() != nil))
	if err != nil {
		return nil, err
	}
	response := &pb.GetInclusionProofResponse{Index: found.Index, Proof: proof.Text(), Receipt: receiptTo(receipt)}
	if found.Record.Body != nil {
		if response.Entry, err = entryTo(found.Record); err != nil {
			return nil, err
		}
	}
	return response, nil
}

func (s *auditLog) GetConsistencyProof(ctx context.Context, r *pb.GetConsistencyProofRequest) (*pb.GetConsistencyProofResponse, error) {
	proven, receipt, err := s.vault.ProveConsistency(ctx, callerOf(ctx), r.GetFirstSize(), r.GetSecondSize())
	if err != nil {
		return nil, err
	}
	return &pb.GetConsistencyProofResponse{
		FirstSize: proven.First, SecondSize: proven.Second, Checkpoint: proven.Checkpoint, Receipt: receiptTo(receipt),
		Hashes: each(proven.Proof, func(h audit.Hash) []byte { return h[:] }),
	}, nil
}

func (s *auditLog) ReadLog(r *pb.ReadLogRequest, stream grpc.ServerStreamingServer[pb.ReadLogResponse]) error {
	ctx := stream.Context()
	batches, _, err := s.vault.ReadLog(ctx, callerOf(ctx), vault.LogQuery{
		Start: r.GetStartIndex(), End: r.GetEndIndex(), Follow: r.GetFollow(),
	})
	if err != nil {
		return err
	}
	for batch, err := range batches {
		if err != nil {
			return err
		}
		for _, message := range batchTo(batch) {
			if err := stream.Send(message); err != nil {
				return err
			}
		}
	}
	return nil
}

// placeOf reads where an entry stands. What names no place is passed on as one that
// the vault refuses.
func placeOf(r interface {
	GetReceipt() *pb.Receipt
	GetIndex() int64
}, given bool,
) vault.EntryPlace {
	switch receipt := r.GetReceipt(); {
	case !given, receipt != nil && receipt.GetReplica() == "":
		return vault.EntryPlace{Index: -1}
	case receipt != nil:
		return vault.EntryPlace{Replica: receipt.GetReplica(), Number: receipt.GetNumber()}
	default:
		return vault.EntryPlace{Index: r.GetIndex()}
	}
}

// maxBodies bounds the bodies of one message, so that none comes near the 4 MB that
// gRPC's clients take by default.
const maxBodies = 1 << 20

// batchTo writes a batch as one message, or as several where it is large. The
// checkpoint comes with the first.
func batchTo(b audit.Batch) []*pb.ReadLogResponse {
	message := &pb.ReadLogResponse{Checkpoint: b.Checkpoint}
	messages := []*pb.ReadLogResponse{message}
	size := 0
	for _, e := range b.Entries {
		if size > 0 && size+len(e.Body) > maxBodies {
			message, size = &pb.ReadLogResponse{}, 0
			messages = append(messages, message)
		}
		size += len(e.Body)
		message.Entries = append(message.Entries, logEntryTo(e))
	}
	return messages
}

func logEntryTo(e audit.LogEntry) *pb.LogEntry {
	if e.Body == nil {
		return &pb.LogEntry{Index: e.Index, LeafHash: e.Leaf[:]}
	}
	return &pb.LogEntry{Index: e.Index, Body: e.Body}
}
