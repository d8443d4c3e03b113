package server

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/cardvault/cardvault/vault"
)

// arrival is a request as it comes in: the message to read it into, and what is
// wrong with it before anyone looks at what it asks for.
type arrival struct {
	message any
	largest int
	// objection is nil where the message is whole.
	objection *vault.Error
}

// codec is gRPC's own codec for protobuf, except that it reads an arrival without
// an error: gRPC answers those by itself, without a reason that a client can
// switch on.
type codec struct {
	encoding.CodecV2
}

func newCodec() codec { return codec{encoding.GetCodecV2(protocodec.Name)} }

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	a, ok := v.(*arrival)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	message, ok := a.message.(proto.Message)
	switch {
	case data.Len() > a.largest: // before it is parsed: it takes more room then
		a.objection = errTooLarge
	case !ok || c.CodecV2.Unmarshal(data, message) != nil:
		a.objection = errMalformed
	case hasUnknownFields(message):
		a.objection = vault.ErrUnknownField
	}
	return nil
}

// receive reads a request by decode, and returns what is wrong with it or, as an
// error, that it did not arrive.
func receive(request any, largest int, decode func(any) error) (*vault.Error, error) {
	a := arrival{message: request, largest: largest}
	err := decode(&a)
	switch status.Code(err) {
	case codes.OK:
		return a.objection, nil
	case codes.ResourceExhausted: // larger than largestMessage; gRPC has answered so
		return errTooLarge, nil
	case codes.Internal: // not in gRPC's framing; gRPC has answered so
		return errMalformed, nil
	default: // the caller or its connection went away
		return nil, err
	}
}
