package server

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/audit"
)

func (s *site) keys(t *testing.T) []note.Verifier {
	t.Helper()
	keys, err := s.signer.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// prove asks for the proof of a receipt until a checkpoint covers it.
func prove(t *testing.T, client pb.AuditServiceClient, r *pb.Receipt) *pb.GetInclusionProofResponse {
	t.Helper()
	for {
		answer, err := client.GetInclusionProof(t.Context(), &pb.GetInclusionProofRequest{Place: &pb.GetInclusionProofRequest_Receipt{Receipt: r}})
		if err == nil {
			return answer
		}
		if reason := reasonOf(t, err); reason != "ENTRY_PENDING" {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestProofs: what the wire carries verifies with the log's public key alone.
func TestProofs(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	first := prove(t, o.audit, o.issue(t).GetReceipt())
	issued := o.issue(t)
	answer := prove(t, o.audit, issued.GetReceipt())
	entry := answer.GetEntry()
	if entry.GetCardId() != issued.GetCard().GetId() || !proto.Equal(entry.GetReceipt(), issued.GetReceipt()) || answer.GetReceipt() == nil {
		t.Errorf("the entry is %v", entry)
	}
	proof, err := audit.ParseProof(answer.GetProof())
	if err != nil || proof.Index != answer.GetIndex() {
		t.Fatalf("%+v, %v", proof, err)
	}
	newer, err := proof.Verify(entry.GetBody(), o.keys(t)...)
	if err != nil {
		t.Fatal(err)
	}
	got := must[*pb.GetEntryResponse](t)(o.audit.GetEntry(ctx, &pb.GetEntryRequest{Place: &pb.GetEntryRequest_Index{Index: answer.GetIndex()}}))
	if !proto.Equal(got.GetEntry(), entry) || got.GetIndex() != answer.GetIndex() || got.GetReceipt() == nil {
		t.Errorf("by index: %v", got)
	}
	before, err := audit.ParseProof(first.GetProof())
	if err != nil {
		t.Fatal(err)
	}
	older, err := before.Verify(first.GetEntry().GetBody(), o.keys(t)...)
	if err != nil {
		t.Fatal(err)
	}
	consistent := must[*pb.GetConsistencyProofResponse](t)(o.audit.GetConsistencyProof(ctx, &pb.GetConsistencyProofRequest{FirstSize: older.Size, SecondSize: newer.Size}))
	var hashes tlog.TreeProof
	for _, h := range consistent.GetHashes() {
		hashes = append(hashes, tlog.Hash(h))
	}
	if err := tlog.CheckTree(hashes, newer.Size, newer.Root, older.Size, older.Root); err != nil || consistent.GetFirstSize() != older.Size || consistent.GetSecondSize() != newer.Size {
		t.Errorf("%v, %v", consistent, err)
	}
	checkpoint := must[*pb.GetCheckpointResponse](t)(o.audit.GetCheckpoint(ctx, &pb.GetCheckpointRequest{}))
	if c, err := audit.OpenCheckpoint(checkpoint.GetCheckpoint(), o.keys(t)...); err != nil || c.Size < newer.Size || c.Origin != logOrigin {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestPlacesOnTheWire(t *testing.T) {
	o := newOffice(t)
	receipt := prove(t, o.audit, o.issue(t).GetReceipt()).GetReceipt()
	for name, tc := range map[string]struct {
		request *pb.GetEntryRequest
		reason  string
	}{
		"none":             {&pb.GetEntryRequest{}, "ENTRY_PLACE"},
		"empty receipt":    {&pb.GetEntryRequest{Place: &pb.GetEntryRequest_Receipt{Receipt: &pb.Receipt{}}}, "ENTRY_PLACE"},
		"absent receipt":   {&pb.GetEntryRequest{Place: &pb.GetEntryRequest_Receipt{}}, "ENTRY_PLACE"},
		"no UUID":          {&pb.GetEntryRequest{Place: &pb.GetEntryRequest_Receipt{Receipt: &pb.Receipt{Replica: "x"}}}, "ENTRY_PLACE"},
		"a PAN":            {&pb.GetEntryRequest{Place: &pb.GetEntryRequest_Receipt{Receipt: &pb.Receipt{Replica: foreignPAN}}}, "CARD_DATA"},
		"negative index":   {&pb.GetEntryRequest{Place: &pb.GetEntryRequest_Index{Index: -1}}, "ENTRY_PLACE"},
		"the server's own": {&pb.GetEntryRequest{Place: &pb.GetEntryRequest_Index{}}, "ENTRY_NOT_FOUND"},
		"beyond":           {&pb.GetEntryRequest{Place: &pb.GetEntryRequest_Index{Index: 1 << 62}}, "ENTRY_NOT_FOUND"},
		"not yet there":    {&pb.GetEntryRequest{Place: &pb.GetEntryRequest_Receipt{Receipt: &pb.Receipt{Replica: receipt.GetReplica(), Number: 1 << 62}}}, "ENTRY_NOT_FOUND"},
	} {
		if _, err := o.audit.GetEntry(t.Context(), tc.request); reasonOf(t, err) != tc.reason {
			t.Errorf("%s: %v, want %s", name, err, tc.reason)
		}
		_, err := o.audit.GetConsistencyProof(t.Context(), &pb.GetConsistencyProofRequest{})
		if reasonOf(t, err) != "TREE_SIZE" {
			t.Errorf("sizes of nothing: %v", err)
		}
	}
}

func TestFilteredEntries(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	issued := o.issue(t)
	o.issue(t)
	if _, err := o.support.IssueCard(ctx, &pb.IssueCardRequest{BinRange: "demo"}); reasonOf(t, err) != "PERMISSION_DENIED" {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		request *pb.ListEntriesRequest
		n       int
	}{
		"card":      {&pb.ListEntriesRequest{CardId: issued.GetCard().GetId()}, 1},
		"action":    {&pb.ListEntriesRequest{Action: "IssueCard"}, 3},
		"decision":  {&pb.ListEntriesRequest{Action: "IssueCard", Decision: "deny"}, 1},
		"principal": {&pb.ListEntriesRequest{Principal: issuerID}, 2},
		"end":       {&pb.ListEntriesRequest{Action: "IssueCard", EndTime: timestamppb.New(o.clock.Now().Add(-time.Hour))}, 0},
	} {
		listed := must[*pb.ListEntriesResponse](t)(o.audit.ListEntries(ctx, tc.request))
		if n := len(listed.GetEntries()); n != tc.n {
			t.Errorf("%s: %d entries, want %d", name, n, tc.n)
		}
	}
	_, err := o.audit.ListEntries(ctx, &pb.ListEntriesRequest{EndTime: &timestamppb.Timestamp{Seconds: 1 << 60}})
	if info, _ := details(t, err); info.GetReason() != "TIMESTAMP_INVALID" || info.GetMetadata()["field"] != "end_time" {
		t.Errorf("end beyond all time: %v", err)
	}
}

// fill gives a request what the vault wants before it asks policy.
func fill(m protoreflect.Message) protoreflect.Message {
	for _, field := range []struct {
		name  protoreflect.Name
		value protoreflect.Value
	}{
		{"purpose", protoreflect.ValueOfString("settlement")},
		{"view", protoreflect.ValueOfEnum(protoreflect.EnumNumber(pb.View_VIEW_FULL))},
		{"id", protoreflect.ValueOfString("demo")},
		{"bin_range", protoreflect.ValueOfString("demo")},
	} {
		switch f := m.Descriptor().Fields().ByName(field.name); {
		case f == nil:
		case f.Message() != nil:
			fill(m.Mutable(f).Message())
		default:
			m.Set(f, field.value)
		}
	}
	return m
}

// reasonFor calls any method, and returns the reason of its refusal.
func reasonFor(t *testing.T, conn *grpc.ClientConn, full string) string {
	t.Helper()
	name := strings.ReplaceAll(strings.TrimPrefix(full, "/"), "/", ".")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		t.Fatal(err)
	}
	m := found.(protoreflect.MethodDescriptor)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: m.IsStreamingServer()}, full)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(fill(dynamicpb.NewMessage(m.Input())).Interface()); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	return reasonOf(t, stream.RecvMsg(dynamicpb.NewMessage(m.Output())))
}

// TestWhoMayCallWhat asks for every method as staff and as a tenant's caller, under
// a policy that permits whatever can be permitted.
func TestWhoMayCallWhat(t *testing.T) {
	s := newSite(t)
	all, err := access.Parse("all.cedar", []byte(`@id("all") permit (principal, action, resource);`))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.vault.SetPolicy(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	staff, tenant := s.dialStaff(t, "auditor"), s.dial(t, "auditor")
	both := []access.Action{access.GetCheckpoint, access.GetEntry, access.GetInclusionProof, access.GetConsistencyProof}
	for full, row := range methods() {
		if row.action == "" {
			continue
		}
		staffOnly := row.action == access.ReadLog || row.action == access.ListKeys
		forStaff := staffOnly || slices.Contains(both, row.action)
		if got := reasonFor(t, staff, full); (got == "PERMISSION_DENIED") == forStaff && got != "BATCH_SIZE" {
			t.Errorf("staff, %s: %s", full, got)
		}
		if got := reasonFor(t, tenant, full); staffOnly && got != "PERMISSION_DENIED" {
			t.Errorf("tenant, %s: %s", full, got)
		}
	}
	if code := status.Code(ping(t, staff)); code != codes.OK {
		t.Errorf("health, asked by staff: %v", code)
	}
}
