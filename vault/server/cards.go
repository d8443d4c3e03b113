package server

import (
	"context"

	"github.com/cardvault/cardvault/crypto/secret" //nolint:depguard // no key: what a PAN is wrapped in as it arrives
	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault"
)

// cards is the CardService, but for the lives of cards, which are in lives.go.
type cards struct {
	pb.UnsafeCardServiceServer // a method that was forgotten does not compile

	vault   *vault.Vault
	answers answers
}

func (s *cards) IssueCard(ctx context.Context, r *pb.IssueCardRequest) (*pb.IssueCardResponse, error) {
	results, err := s.vault.IssueCards(ctx, callerOf(ctx), []vault.IssueRequest{issueRequest(r)})
	if err != nil {
		return nil, err
	}
	return issueResponse(results[0])
}

func (s *cards) BatchIssueCards(ctx context.Context, r *pb.BatchIssueCardsRequest) (*pb.BatchIssueCardsResponse, error) {
	results, err := s.vault.IssueCards(ctx, callerOf(ctx), each(r.GetRequests(), issueRequest))
	if err != nil {
		return nil, err
	}
	return &pb.BatchIssueCardsResponse{Results: each(results, func(item vault.IssueResult) *pb.BatchIssueCardsResponse_Result {
		response, err := issueResponse(item)
		if err != nil {
			return &pb.BatchIssueCardsResponse_Result{Result: &pb.BatchIssueCardsResponse_Result_Error{Error: s.answers.explain(ctx, err).item()}}
		}
		return &pb.BatchIssueCardsResponse_Result{Result: &pb.BatchIssueCardsResponse_Result_Response{Response: response}}
	})}, nil
}

func issueRequest(r *pb.IssueCardRequest) vault.IssueRequest {
	return vault.IssueRequest{
		RequestID: r.GetRequestId(), BINRange: r.GetBinRange(),
		Expiry: monthOf(r.GetExpiry()), Token: optionsOf(r.GetToken()),
	}
}

func issueResponse(item vault.IssueResult) (*pb.IssueCardResponse, error) {
	if item.Err != nil {
		return nil, item.Err
	}
	return &pb.IssueCardResponse{Card: cardTo(item.Card), Token: item.Token, Receipt: receiptTo(item.Receipt)}, nil
}

func (s *cards) TokenizeCard(ctx context.Context, r *pb.TokenizeCardRequest) (*pb.TokenizeCardResponse, error) {
	results, err := s.vault.TokenizeCards(ctx, callerOf(ctx), []vault.TokenizeRequest{tokenizeRequest(r)})
	if err != nil {
		return nil, err
	}
	return tokenizeResponse(results[0])
}

func (s *cards) BatchTokenizeCards(ctx context.Context, r *pb.BatchTokenizeCardsRequest) (*pb.BatchTokenizeCardsResponse, error) {
	results, err := s.vault.TokenizeCards(ctx, callerOf(ctx), each(r.GetRequests(), tokenizeRequest))
	if err != nil {
		return nil, err
	}
	return &pb.BatchTokenizeCardsResponse{Results: each(results, func(item vault.TokenizeResult) *pb.BatchTokenizeCardsResponse_Result {
		response, err := tokenizeResponse(item)
		if err != nil {
			return &pb.BatchTokenizeCardsResponse_Result{Result: &pb.BatchTokenizeCardsResponse_Result_Error{Error: s.answers.explain(ctx, err).item()}}
		}
		return &pb.BatchTokenizeCardsResponse_Result{Result: &pb.BatchTokenizeCardsResponse_Result_Response{Response: response}}
	})}, nil
}

// tokenizeRequest takes the PAN out of its message: from here on it is a secret
// that redacts itself.
func tokenizeRequest(r *pb.TokenizeCardRequest) vault.TokenizeRequest {
	number := secret.New([]byte(r.GetPan()))
	r.Pan = ""
	return vault.TokenizeRequest{
		RequestID: r.GetRequestId(), PAN: number,
		Expiry: monthOf(r.GetExpiry()), Token: optionsOf(r.GetToken()),
	}
}

func tokenizeResponse(item vault.TokenizeResult) (*pb.TokenizeCardResponse, error) {
	if item.Err != nil {
		return nil, item.Err
	}
	return &pb.TokenizeCardResponse{
		Card: cardTo(item.Card), Token: item.Token, Existing: item.Existing, Receipt: receiptTo(item.Receipt),
	}, nil
}

func (s *cards) DetokenizeCard(ctx context.Context, r *pb.DetokenizeCardRequest) (*pb.DetokenizeCardResponse, error) {
	results, err := s.vault.DetokenizeCards(ctx, callerOf(ctx), vault.DetokenizeRequest{
		Tokens: []string{r.GetToken()}, Purpose: r.GetPurpose(), View: viewOf(r.GetView()),
	})
	if err != nil {
		return nil, err
	}
	return detokenizeResponse(results[0], r.GetView())
}

func (s *cards) BatchDetokenizeCards(ctx context.Context, r *pb.BatchDetokenizeCardsRequest) (*pb.BatchDetokenizeCardsResponse, error) {
	results, err := s.vault.DetokenizeCards(ctx, callerOf(ctx), vault.DetokenizeRequest{
		Tokens: r.GetTokens(), Purpose: r.GetPurpose(), View: viewOf(r.GetView()),
	})
	if err != nil {
		return nil, err
	}
	return &pb.BatchDetokenizeCardsResponse{Results: each(results, func(item vault.DetokenizeResult) *pb.BatchDetokenizeCardsResponse_Result {
		response, err := detokenizeResponse(item, r.GetView())
		if err != nil {
			return &pb.BatchDetokenizeCardsResponse_Result{Result: &pb.BatchDetokenizeCardsResponse_Result_Error{Error: s.answers.explain(ctx, err).item()}}
		}
		return &pb.BatchDetokenizeCardsResponse_Result{Result: &pb.BatchDetokenizeCardsResponse_Result_Response{Response: response}}
	})}, nil
}

// detokenizeResponse puts what the view shows into the field of that view.
func detokenizeResponse(item vault.DetokenizeResult, view pb.View) (*pb.DetokenizeCardResponse, error) {
	if item.Err != nil {
		return nil, item.Err
	}
	response := &pb.DetokenizeCardResponse{
		Expiry: expiryTo(item.Expiry), CardId: item.CardID.String(), Receipt: receiptTo(item.Receipt),
	}
	switch view {
	case pb.View_VIEW_FULL:
		response.Number = &pb.DetokenizeCardResponse_Pan{Pan: item.PAN.Reveal()}
	case pb.View_VIEW_MASKED:
		response.Number = &pb.DetokenizeCardResponse_MaskedPan{MaskedPan: item.Shown}
	case pb.View_VIEW_LAST_FOUR:
		response.Number = &pb.DetokenizeCardResponse_LastFour{LastFour: item.Shown}
	default:
		return nil, vault.ErrView.In("view")
	}
	return response, nil
}
