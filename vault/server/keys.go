package server

import (
	"context"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault"
)

// keys is the KeyService. What it sends is about keys; no key comes here.
type keys struct {
	pb.UnsafeKeyServiceServer

	vault *vault.Vault
}

func (s *keys) ListKeys(ctx context.Context, r *pb.ListKeysRequest) (*pb.ListKeysResponse, error) {
	list, receipt, err := s.vault.ListKeys(ctx, callerOf(ctx), vault.KeyQuery{
		PageSize: int(r.GetPageSize()), PageToken: r.GetPageToken(), CountRows: r.GetCountRows(),
	})
	if err != nil {
		return nil, err
	}
	return &pb.ListKeysResponse{
		Keys: each(list.Keys, keyTo), NextPageToken: list.Next, Receipt: receiptTo(receipt),
		KekVersions: each(list.KEKs, func(k vault.KEKVersion) *pb.KekVersion {
			return &pb.KekVersion{Kind: k.Kind, Version: k.Version, Keys: k.Keys}
		}),
		AuditLogKeys: list.LogKeys,
	}, nil
}

func keyTo(k vault.KeyVersion) *pb.KeyVersion {
	shown := &pb.KeyVersion{
		Id: k.ID.String(), Tenant: k.Tenant, Purpose: purposeTo(k.Purpose), BinRange: k.BINRange, Algorithm: k.Algorithm,
		State: keyStateTo(k.State), KekKind: k.KEKKind, KekVersion: k.KEKVersion,
		CreateTime: timestamppb.New(k.Created), Age: durationpb.New(k.Age), Rows: k.Rows,
	}
	if limit := k.Limit; limit != nil {
		shown.ExpireTime, shown.Uses = timestamppb.New(limit.Ends), &limit.Uses
		if limit.Sealing {
			shown.CryptoperiodLeft, shown.UsesLeft = durationpb.New(limit.Left), &limit.UsesLeft
		}
	}
	return shown
}

func purposeTo(name string) pb.KeyVersion_Purpose {
	switch name {
	case "data":
		return pb.KeyVersion_PURPOSE_DATA
	case "fingerprint":
		return pb.KeyVersion_PURPOSE_FINGERPRINT
	case "range":
		return pb.KeyVersion_PURPOSE_RANGE
	default:
		return pb.KeyVersion_PURPOSE_UNSPECIFIED
	}
}

func keyStateTo(name string) pb.KeyVersion_State {
	switch name {
	case "active":
		return pb.KeyVersion_STATE_ACTIVE
	case "retiring":
		return pb.KeyVersion_STATE_RETIRING
	case "retired":
		return pb.KeyVersion_STATE_RETIRED
	case "destroyed":
		return pb.KeyVersion_STATE_DESTROYED
	default:
		return pb.KeyVersion_STATE_UNSPECIFIED
	}
}
