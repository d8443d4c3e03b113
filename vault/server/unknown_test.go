package server

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
)

// anUnknownField is field 15 of any message: a string.
func anUnknownField() []byte {
	return protowire.AppendString(protowire.AppendTag(nil, 15, protowire.BytesType), "123")
}

func TestUnknownFieldsAreFoundAtAnyDepth(t *testing.T) {
	options := &pb.TokenOptions{Ttl: durationpb.New(1), Principals: []string{"a"}}
	item := &pb.TokenizeCardRequest{Expiry: &pb.Expiry{Year: 2030, Month: 1}, Token: options}
	batch := &pb.BatchTokenizeCardsRequest{Requests: []*pb.TokenizeCardRequest{{}, item}}
	places := map[string]proto.Message{
		"the message":                    batch,
		"an item of a list":              item,
		"a message of an item":           item.Expiry,
		"a message of a message":         item.Token,
		"a well-known type of a message": item.Token.Ttl,
	}
	for place, message := range places {
		if hasUnknownFields(batch) {
			t.Fatal("unknown fields where there are none")
		}
		message.ProtoReflect().SetUnknown(anUnknownField())
		if !hasUnknownFields(batch) {
			t.Errorf("not found in %s", place)
		}
		message.ProtoReflect().SetUnknown(nil)
	}
}

func BenchmarkUnknownFields(b *testing.B) {
	batch := &pb.BatchTokenizeCardsRequest{}
	for range 1000 {
		batch.Requests = append(batch.Requests, &pb.TokenizeCardRequest{
			RequestId: "6e0d7a3e-0c5e-4a1c-9f0e-1f2a3b4c5d6e", Pan: "9999990000000000", Expiry: &pb.Expiry{Year: 2030, Month: 1},
		})
	}
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			_ = hasUnknownFields(batch.Requests[0])
		}
	})
	b.Run("thousand", func(b *testing.B) {
		for b.Loop() {
			_ = hasUnknownFields(batch)
		}
	})
	b.Run("size of a thousand", func(b *testing.B) {
		for b.Loop() {
			_ = proto.Size(batch)
		}
	})
}
