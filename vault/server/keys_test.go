package server

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
)

// TestListKeys: what the wire carries of each key, in pages, and to whom.
func TestListKeys(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	o.issue(t)
	o.issue(t)
	o.clock.Advance(time.Hour)
	client := pb.NewKeyServiceClient(o.dialStaff(t, "security"))
	list := must[*pb.ListKeysResponse](t)(client.ListKeys(ctx, &pb.ListKeysRequest{CountRows: true}))
	byPurpose := map[pb.KeyVersion_Purpose]*pb.KeyVersion{}
	for _, k := range list.GetKeys() {
		byPurpose[k.GetPurpose()] = k
		if k.GetTenant() != "demo" || k.GetState() != pb.KeyVersion_STATE_ACTIVE || k.GetKekKind() != "local" || k.GetKekVersion() != "1" ||
			k.GetAge().AsDuration() != time.Hour || !k.GetCreateTime().AsTime().Add(time.Hour).Equal(o.clock.Now().UTC().Truncate(time.Microsecond)) {
			t.Errorf("key %v", k)
		}
	}
	data, fingerprint, order := byPurpose[pb.KeyVersion_PURPOSE_DATA], byPurpose[pb.KeyVersion_PURPOSE_FINGERPRINT], byPurpose[pb.KeyVersion_PURPOSE_RANGE]
	if len(list.GetKeys()) != 3 || data == nil || fingerprint == nil || order == nil {
		t.Fatalf("keys %v", list.GetKeys())
	}
	if data.GetAlgorithm() != "AES-256-GCM" || data.GetRows() != 2 || data.GetUses() != 1<<16 || data.GetUsesLeft() != 1<<30-1<<16 ||
		data.GetCryptoperiodLeft().AsDuration() != 365*24*time.Hour-time.Hour ||
		data.GetExpireTime().AsTime().Sub(data.GetCreateTime().AsTime()) != 365*24*time.Hour {
		t.Errorf("data key %v", data)
	}
	for _, k := range []*pb.KeyVersion{fingerprint, order} {
		if k.ExpireTime != nil || k.CryptoperiodLeft != nil || k.Uses != nil || k.UsesLeft != nil {
			t.Errorf("a limit that is none: %v", k)
		}
	}
	if fingerprint.GetAlgorithm() != "HMAC-SHA-256" || fingerprint.GetRows() != 2 {
		t.Errorf("fingerprint key %v", fingerprint)
	}
	if order.GetAlgorithm() != "FF1-AES-256" || order.GetBinRange() != "demo" || order.GetRows() != 1 {
		t.Errorf("range key %v", order)
	}
	if kek := list.GetKekVersions(); len(kek) != 1 || kek[0].GetKind() != "local" || kek[0].GetKeys() != 3 {
		t.Errorf("KEK %v", kek)
	}
	if log := list.GetAuditLogKeys(); len(log) != 1 || !strings.HasPrefix(log[0], logOrigin+"+") || list.GetReceipt() == nil {
		t.Errorf("keys of the log %v, receipt %v", log, list.GetReceipt())
	}
	first := must[*pb.ListKeysResponse](t)(client.ListKeys(ctx, &pb.ListKeysRequest{PageSize: 2}))
	second := must[*pb.ListKeysResponse](t)(client.ListKeys(ctx, &pb.ListKeysRequest{PageSize: 2, PageToken: first.GetNextPageToken()}))
	paged := append(first.GetKeys(), second.GetKeys()...)
	for i, k := range list.GetKeys() {
		k.Rows = nil // which nobody asked for
		if i >= len(paged) || !proto.Equal(k, paged[i]) {
			t.Fatalf("in pages %v\nat once %v", paged, list.GetKeys())
		}
	}
	if second.GetNextPageToken() != "" || second.GetKekVersions() != nil || second.GetAuditLogKeys() != nil {
		t.Errorf("second page %v", second)
	}
	for _, page := range []*pb.ListKeysRequest{{PageToken: "x"}, {PageToken: foreignPAN}, {PageSize: -1}, {PageSize: 1001}} {
		if _, err := client.ListKeys(ctx, page); reasonOf(t, err) == "OK" {
			t.Errorf("answered %v", page)
		}
	}
	if _, err := pb.NewKeyServiceClient(o.dial(t, "security")).ListKeys(ctx, &pb.ListKeysRequest{}); reasonOf(t, err) != "PERMISSION_DENIED" {
		t.Errorf("a tenant's security: %v", err)
	}
}
