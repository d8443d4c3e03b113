package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault/access"
)

// allow adds a permit to detokenize to the demo's policy.
func (s *site) allow(t *testing.T, name, when string) {
	t.Helper()
	text := fmt.Appendf(access.DemoPolicy(), `
@id("test")
permit (principal, action == Action::"DetokenizeCard", resource)
when { principal.name == "%s" && %s };
`, name, when)
	policy, err := access.Parse("test.cedar", text)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.vault.SetPolicy(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
}

// TestRefusedBeforeTheVaultLooks: what is no request of this API is refused with
// a reason, and recorded like every refusal (P3).
func TestRefusedBeforeTheVaultLooks(t *testing.T) {
	o := newOffice(t)
	spoiled := func(unknown []byte) *pb.TokenizeCardRequest {
		r := &pb.TokenizeCardRequest{Pan: foreignPAN, Expiry: &pb.Expiry{Year: 2090, Month: 2}}
		r.Expiry.ProtoReflect().SetUnknown(unknown)
		return r
	}
	tests := map[string]struct {
		request *pb.TokenizeCardRequest
		code    codes.Code
		reason  string
	}{
		"unknown field":     {spoiled(anUnknownField()), codes.InvalidArgument, "UNKNOWN_FIELD"},
		"does not parse":    {spoiled([]byte{0xff}), codes.InvalidArgument, "REQUEST_MALFORMED"},
		"larger than one":   {&pb.TokenizeCardRequest{Pan: strings.Repeat("9", oneItem)}, codes.ResourceExhausted, "REQUEST_TOO_LARGE"},
		"larger than any":   {&pb.TokenizeCardRequest{Pan: strings.Repeat("9", 3<<20)}, codes.ResourceExhausted, "REQUEST_TOO_LARGE"},
		"text is not UTF-8": {&pb.TokenizeCardRequest{Token: &pb.TokenOptions{}, RequestId: "x"}, codes.InvalidArgument, "REQUEST_MALFORMED"},
	}
	// Go's client refuses to send invalid UTF-8 in a string, so it goes as raw bytes:
	// field 1, one byte 0xff.
	tests["text is not UTF-8"].request.Reset()
	tests["text is not UTF-8"].request.ProtoReflect().SetUnknown([]byte{0x0a, 0x01, 0xff})
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := o.issuer.TokenizeCard(t.Context(), tt.request)
			if status.Code(err) != tt.code || reasonOf(t, err) != tt.reason {
				t.Errorf("error %v, want %v %s", err, tt.code, tt.reason)
			}
			if results := o.results(t, "TokenizeCard"); len(results) == 0 || results[len(results)-1] != tt.reason {
				t.Errorf("recorded %v, want the last to be %s", results, tt.reason)
			}
		})
	}
	if strings.Contains(o.log.String(), foreignPAN) {
		t.Error("the PAN is in the log")
	}
}

// TestUnknownMethod: who is known learns that there is no such method, and it
// calls the vault by none of its own.
func TestUnknownMethod(t *testing.T) {
	s := newSite(t)
	conn := s.dial(t, "issuer")
	for _, name := range []string{"/cardvault.v1.CardService/DumpCards", "/cardvault.v1.Nothing/Call", "/x/y"} {
		err := conn.Invoke(t.Context(), name, &emptypb.Empty{}, &emptypb.Empty{})
		if status.Code(err) != codes.Unimplemented || reasonOf(t, err) != "METHOD_UNKNOWN" {
			t.Errorf("%s: %v, want UNIMPLEMENTED", name, err)
		}
	}
}

// TestReflection shows a client without .proto files what there is.
func TestReflection(t *testing.T) {
	s := newSite(t)
	stream, err := reflectionpb.NewServerReflectionClient(s.dial(t, "issuer")).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
	}); err != nil {
		t.Fatal(err)
	}
	response, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, service := range response.GetListServicesResponse().GetService() {
		names = append(names, service.GetName())
	}
	for _, want := range []string{"cardvault.v1.CardService", "cardvault.v1.TokenService", "cardvault.v1.BinRangeService", "cardvault.v1.AuditService", "grpc.health.v1.Health"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not among %v", want, names)
		}
	}
	large := strings.Repeat("x", oneItem)
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_FileByFilename{FileByFilename: large},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); reasonOf(t, err) != "REQUEST_TOO_LARGE" {
		t.Errorf("a large request in a stream: %v", err)
	}
}
