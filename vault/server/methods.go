package server

import (
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"

	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault/access"
)

// method is what the server knows of an RPC before it looks into a request.
type method struct {
	// action is what policy and audit entries call it. Empty where the method is
	// gRPC's own, has nothing to do with cards and is open to every caller.
	action access.Action
	// deadline bounds a call, whatever its caller allows. Zero: a stream, which lasts
	// at most as long as its connection.
	deadline time.Duration
	// largest is the most bytes that a request can sensibly have.
	largest int
}

const (
	// One request: the largest has 16 principals of 63 bytes.
	oneItem = 4 << 10
	// 1000 of the largest requests come to 1.3 MB.
	manyItems = 2 << 20
	// 1000 tokens of 64 bytes.
	manyTokens = 128 << 10

	short = 10 * time.Second
	long  = 30 * time.Second
)

// methods is the method table. A method without a row does not start, and what
// has no row here has no way in (P8).
func methods() map[string]method {
	return map[string]method{
		pb.CardService_IssueCard_FullMethodName:            {access.IssueCard, short, oneItem},
		pb.CardService_BatchIssueCards_FullMethodName:      {access.IssueCard, long, manyItems},
		pb.CardService_TokenizeCard_FullMethodName:         {access.TokenizeCard, short, oneItem},
		pb.CardService_BatchTokenizeCards_FullMethodName:   {access.TokenizeCard, long, manyItems},
		pb.CardService_DetokenizeCard_FullMethodName:       {access.DetokenizeCard, short, oneItem},
		pb.CardService_BatchDetokenizeCards_FullMethodName: {access.DetokenizeCard, long, manyTokens},
		pb.CardService_GetCard_FullMethodName:              {access.GetCard, short, oneItem},
		pb.CardService_ListCards_FullMethodName:            {access.ListCards, short, oneItem},
		pb.CardService_SuspendCard_FullMethodName:          {access.SuspendCard, short, oneItem},
		pb.CardService_ResumeCard_FullMethodName:           {access.ResumeCard, short, oneItem},
		pb.CardService_CloseCard_FullMethodName:            {access.CloseCard, short, oneItem},
		pb.CardService_RenewCard_FullMethodName:            {access.RenewCard, short, oneItem},
		pb.CardService_DeleteCard_FullMethodName:           {access.DeleteCard, short, oneItem},

		pb.TokenService_CreateToken_FullMethodName: {access.CreateToken, short, oneItem},
		pb.TokenService_ListTokens_FullMethodName:  {access.ListTokens, short, oneItem},
		pb.TokenService_RevokeToken_FullMethodName: {access.RevokeToken, short, oneItem},

		pb.BinRangeService_CreateBinRange_FullMethodName: {access.CreateBinRange, short, manyTokens},
		pb.BinRangeService_GetBinRange_FullMethodName:    {access.GetBinRange, short, oneItem},
		pb.BinRangeService_ListBinRanges_FullMethodName:  {access.ListBinRanges, short, oneItem},
		pb.BinRangeService_PauseBinRange_FullMethodName:  {access.PauseBinRange, short, oneItem},
		pb.BinRangeService_ResumeBinRange_FullMethodName: {access.ResumeBinRange, short, oneItem},

		pb.AuditService_ListEntries_FullMethodName:         {access.ListEntries, short, oneItem},
		pb.AuditService_GetCheckpoint_FullMethodName:       {access.GetCheckpoint, short, oneItem},
		pb.AuditService_GetEntry_FullMethodName:            {access.GetEntry, short, oneItem},
		pb.AuditService_GetInclusionProof_FullMethodName:   {access.GetInclusionProof, short, oneItem},
		pb.AuditService_GetConsistencyProof_FullMethodName: {access.GetConsistencyProof, short, oneItem},
		pb.AuditService_ReadLog_FullMethodName:             {action: access.ReadLog, largest: oneItem},

		pb.KeyService_ListKeys_FullMethodName: {access.ListKeys, long, oneItem},

		healthpb.Health_Check_FullMethodName: {deadline: short, largest: oneItem},
		healthpb.Health_List_FullMethodName:  {deadline: short, largest: oneItem},
		healthpb.Health_Watch_FullMethodName: {largest: oneItem},

		// Reflection shows the .proto files, which are public.
		reflectionpb.ServerReflection_ServerReflectionInfo_FullMethodName: {largest: oneItem},
	}
}
