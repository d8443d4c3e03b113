package server

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault"
)

// binRanges is the BinRangeService.
type binRanges struct {
	pb.UnsafeBinRangeServiceServer

	vault *vault.Vault
}

func (s *binRanges) CreateBinRange(ctx context.Context, r *pb.CreateBinRangeRequest) (*pb.CreateBinRangeResponse, error) {
	made, receipt, err := s.vault.CreateBINRange(ctx, callerOf(ctx), r.GetRequestId(), specOf(r.GetBinRange()))
	if err != nil {
		return nil, err
	}
	return &pb.CreateBinRangeResponse{BinRange: binRangeTo(made), Receipt: receiptTo(receipt)}, nil
}

func (s *binRanges) GetBinRange(ctx context.Context, r *pb.GetBinRangeRequest) (*pb.GetBinRangeResponse, error) {
	found, receipt, err := s.vault.GetBINRange(ctx, callerOf(ctx), r.GetId())
	if err != nil {
		return nil, err
	}
	return &pb.GetBinRangeResponse{BinRange: binRangeTo(found), Receipt: receiptTo(receipt)}, nil
}

func (s *binRanges) ListBinRanges(ctx context.Context, _ *pb.ListBinRangesRequest) (*pb.ListBinRangesResponse, error) {
	found, receipt, err := s.vault.ListBINRanges(ctx, callerOf(ctx))
	if err != nil {
		return nil, err
	}
	return &pb.ListBinRangesResponse{BinRanges: each(found, binRangeTo), Receipt: receiptTo(receipt)}, nil
}

func (s *binRanges) PauseBinRange(ctx context.Context, r *pb.PauseBinRangeRequest) (*pb.PauseBinRangeResponse, error) {
	paused, receipt, err := s.vault.PauseBINRange(ctx, callerOf(ctx), r.GetRequestId(), r.GetId())
	if err != nil {
		return nil, err
	}
	return &pb.PauseBinRangeResponse{BinRange: binRangeTo(paused), Receipt: receiptTo(receipt)}, nil
}

func (s *binRanges) ResumeBinRange(ctx context.Context, r *pb.ResumeBinRangeRequest) (*pb.ResumeBinRangeResponse, error) {
	resumed, receipt, err := s.vault.ResumeBINRange(ctx, callerOf(ctx), r.GetRequestId(), r.GetId())
	if err != nil {
		return nil, err
	}
	return &pb.ResumeBinRangeResponse{BinRange: binRangeTo(resumed), Receipt: receiptTo(receipt)}, nil
}

// specOf reads what a creator says of a range, and not what the server says.
func specOf(r *pb.BinRange) vault.BINRangeSpec {
	return vault.BINRangeSpec{
		ID: r.GetId(), Prefix: r.GetPrefix(), PANLength: int(r.GetPanLength()), First: r.GetFirst(), Last: r.GetLast(),
		Reserved: each(r.GetReserved(), func(i *pb.BinRange_Interval) vault.TextInterval {
			return vault.TextInterval{First: i.GetFirst(), Last: i.GetLast()}
		}),
		ValidityMonths: int(r.GetValidityMonths()),
	}
}

func binRangeTo(r vault.BINRange) *pb.BinRange {
	shown := &pb.BinRange{
		Id: r.ID, Prefix: r.Prefix, PanLength: int32(r.PANLength), First: r.First, Last: r.Last, //nolint:gosec // 12–19
		Reserved: each(r.Reserved, func(i vault.TextInterval) *pb.BinRange_Interval {
			return &pb.BinRange_Interval{First: i.First, Last: i.Last}
		}),
		ValidityMonths: int32(r.ValidityMonths), //nolint:gosec // 1–240
		State:          rangeStateTo(r.State), Capacity: r.Capacity, Issued: r.Issued, Live: r.Live,
		CreateTime: timestamppb.New(r.Created),
	}
	if r.Capacity > 0 {
		shown.Fill = float64(r.Issued) / float64(r.Capacity)
		shown.GuessHitRate = float64(r.Live) / float64(r.Capacity)
	}
	if r.DaysToExhaustion >= 0 {
		shown.DaysToExhaustion = new(r.DaysToExhaustion)
	}
	return shown
}

func rangeStateTo(s vault.BINRangeState) pb.BinRange_State {
	switch s {
	case vault.RangeActive:
		return pb.BinRange_STATE_ACTIVE
	case vault.RangePaused:
		return pb.BinRange_STATE_PAUSED
	case vault.RangeStopped:
		return pb.BinRange_STATE_STOPPED
	default:
		return pb.BinRange_STATE_UNSPECIFIED
	}
}
