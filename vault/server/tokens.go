package server

import (
	"context"

	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault"
)

// tokens is the TokenService.
type tokens struct {
	pb.UnsafeTokenServiceServer

	vault *vault.Vault
}

func (s *tokens) CreateToken(ctx context.Context, r *pb.CreateTokenRequest) (*pb.CreateTokenResponse, error) {
	token, receipt, err := s.vault.CreateToken(ctx, callerOf(ctx), r.GetRequestId(), r.GetCardId(), optionsOf(r.GetOptions()))
	if err != nil {
		return nil, err
	}
	return &pb.CreateTokenResponse{Token: tokenTo(token), Receipt: receiptTo(receipt)}, nil
}

func (s *tokens) ListTokens(ctx context.Context, r *pb.ListTokensRequest) (*pb.ListTokensResponse, error) {
	tokens, receipt, err := s.vault.ListTokens(ctx, callerOf(ctx), r.GetCardId())
	if err != nil {
		return nil, err
	}
	return &pb.ListTokensResponse{Tokens: each(tokens, tokenTo), Receipt: receiptTo(receipt)}, nil
}

func (s *tokens) RevokeToken(ctx context.Context, r *pb.RevokeTokenRequest) (*pb.RevokeTokenResponse, error) {
	receipt, err := s.vault.RevokeToken(ctx, callerOf(ctx), r.GetRequestId(), r.GetToken())
	if err != nil {
		return nil, err
	}
	return &pb.RevokeTokenResponse{Receipt: receiptTo(receipt)}, nil
}
