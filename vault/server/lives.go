package server

import (
	"context"

	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
)

func (s *cards) GetCard(ctx context.Context, r *pb.GetCardRequest) (*pb.GetCardResponse, error) {
	card, receipt, err := s.vault.GetCard(ctx, callerOf(ctx), r.GetId())
	if err != nil {
		return nil, err
	}
	return &pb.GetCardResponse{Card: cardTo(card), Receipt: receiptTo(receipt)}, nil
}

func (s *cards) ListCards(ctx context.Context, r *pb.ListCardsRequest) (*pb.ListCardsResponse, error) {
	cards, next, receipt, err := s.vault.ListCards(ctx, callerOf(ctx), int(r.GetPageSize()), r.GetPageToken())
	if err != nil {
		return nil, err
	}
	return &pb.ListCardsResponse{Cards: each(cards, cardTo), NextPageToken: next, Receipt: receiptTo(receipt)}, nil
}

func (s *cards) SuspendCard(ctx context.Context, r *pb.SuspendCardRequest) (*pb.SuspendCardResponse, error) {
	card, receipt, err := s.vault.SuspendCard(ctx, callerOf(ctx), r.GetRequestId(), r.GetId())
	if err != nil {
		return nil, err
	}
	return &pb.SuspendCardResponse{Card: cardTo(card), Receipt: receiptTo(receipt)}, nil
}

func (s *cards) ResumeCard(ctx context.Context, r *pb.ResumeCardRequest) (*pb.ResumeCardResponse, error) {
	card, receipt, err := s.vault.ResumeCard(ctx, callerOf(ctx), r.GetRequestId(), r.GetId())
	if err != nil {
		return nil, err
	}
	return &pb.ResumeCardResponse{Card: cardTo(card), Receipt: receiptTo(receipt)}, nil
}

func (s *cards) CloseCard(ctx context.Context, r *pb.CloseCardRequest) (*pb.CloseCardResponse, error) {
	card, receipt, err := s.vault.CloseCard(ctx, callerOf(ctx), r.GetRequestId(), r.GetId())
	if err != nil {
		return nil, err
	}
	return &pb.CloseCardResponse{Card: cardTo(card), Receipt: receiptTo(receipt)}, nil
}

func (s *cards) RenewCard(ctx context.Context, r *pb.RenewCardRequest) (*pb.RenewCardResponse, error) {
	card, receipt, err := s.vault.RenewCard(ctx, callerOf(ctx), r.GetRequestId(), r.GetId(), monthOf(r.GetExpiry()))
	if err != nil {
		return nil, err
	}
	return &pb.RenewCardResponse{Card: cardTo(card), Receipt: receiptTo(receipt)}, nil
}

func (s *cards) DeleteCard(ctx context.Context, r *pb.DeleteCardRequest) (*pb.DeleteCardResponse, error) {
	receipt, err := s.vault.DeleteCard(ctx, callerOf(ctx), r.GetRequestId(), r.GetId())
	if err != nil {
		return nil, err
	}
	return &pb.DeleteCardResponse{Receipt: receiptTo(receipt)}, nil
}
