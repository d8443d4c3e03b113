package server

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault/access"
)

// TestEveryMethodHasItsRow walks the .proto files: a method without a row, or a
// row without the limits that a call needs, fails (P8).
func TestEveryMethodHasItsRow(t *testing.T) {
	rows := methods()
	found := 0
	protoregistry.GlobalFiles.RangeFilesByPackage("cardvault.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				m := service.Methods().Get(j)
				found++
				row, ok := rows["/"+string(service.FullName())+"/"+string(m.Name())]
				if !ok {
					t.Errorf("%s has no row", m.FullName())
					continue
				}
				checkRow(t, m, row)
			}
		}
		return true
	})
	if found != 28 {
		t.Errorf("found %d methods in the .proto files, want 28", found)
	}
}

func checkRow(t *testing.T, m protoreflect.MethodDescriptor, row method) {
	t.Helper()
	// A batch asks for the action of its items: BatchIssueCards is IssueCard.
	name := string(m.Name())
	if item, batch := strings.CutPrefix(name, "Batch"); batch {
		name = strings.TrimSuffix(item, "s")
	}
	if row.action != access.Action(name) {
		t.Errorf("%s has the action %q, want %q", m.FullName(), row.action, name)
	}
	if !slices.Contains(access.Actions(), row.action) {
		t.Errorf("%s has the action %q, which policy does not know", m.FullName(), row.action)
	}
	if m.IsStreamingServer() != (row.deadline == 0) || row.deadline < 0 || row.largest <= 0 {
		t.Errorf("%s lacks a limit", m.FullName())
	}
	if m.IsStreamingClient() {
		t.Errorf("%s: the pipe receives one request", m.FullName())
	}
}

// TestEveryRowHasItsMethod: a row that is left over would hide a renamed method.
func TestEveryRowHasItsMethod(t *testing.T) {
	for full, row := range methods() {
		name := strings.ReplaceAll(strings.TrimPrefix(full, "/"), "/", ".")
		if _, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name)); err != nil {
			t.Errorf("%s: %v", full, err)
		}
		if own := strings.HasPrefix(full, "/cardvault."); own != (row.action != "") {
			t.Errorf("%s has the action %q: a method has one if and only if it is the vault's", full, row.action)
		}
	}
}

func TestEveryActionHasItsMethod(t *testing.T) {
	used := map[access.Action]bool{}
	for _, row := range methods() {
		used[row.action] = true
	}
	for _, action := range access.Actions() {
		if !used[action] {
			t.Errorf("policy can speak of %s, but no method asks for it", action)
		}
	}
}

func TestMethodWithoutRowDoesNotStart(t *testing.T) {
	desc := grpc.ServiceDesc{
		ServiceName: "cardvault.v1.NewService", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Leak", Handler: func(any, context.Context, func(any) error, grpc.UnaryServerInterceptor) (any, error) {
			return nil, errors.New("reached")
		}}},
		Streams: []grpc.StreamDesc{{StreamName: "Pour", ServerStreams: true, Handler: func(any, grpc.ServerStream) error {
			return errors.New("reached")
		}}},
	}
	server := grpc.NewServer()
	defer server.Stop()
	r := &registrar{Server: server, pipe: &pipe{}, rows: methods()}
	r.RegisterService(&desc, struct{}{})
	err := r.complete()
	if !errors.Is(err, errNoRow) || !strings.Contains(err.Error(), "NewService/Leak") || !strings.Contains(err.Error(), "NewService/Pour") {
		t.Errorf("error %v, want %v that names both", err, errNoRow)
	}
}

// TestRegistrationLeavesTheDescriptionAlone: the generated one is shared by every
// server of the process.
func TestRegistrationLeavesTheDescriptionAlone(t *testing.T) {
	before := slices.Clone(pb.AuditService_ServiceDesc.Methods)
	server := grpc.NewServer()
	defer server.Stop()
	r := &registrar{Server: server, pipe: &pipe{}, rows: map[string]method{}}
	pb.RegisterAuditServiceServer(r, &auditLog{})
	for i, m := range pb.AuditService_ServiceDesc.Methods {
		if reflect.ValueOf(m.Handler).Pointer() != reflect.ValueOf(before[i].Handler).Pointer() {
			t.Errorf("the handler of %s was replaced", m.MethodName)
		}
	}
}
