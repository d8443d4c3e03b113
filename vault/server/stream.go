package server

import (
	"context"
	"errors"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
)

// stream puts a streaming handler behind its row of the method table, as unary does.
// A stream has no deadline. It ends when the client goes away or its certificate is
// no longer good, when the connection has its age, and when the server drains.
//
// A client that does not read stalls its own stream and nothing else: gRPC's flow
// control stops the handler in the middle of sending, and what is on its way stays
// within one message and a window.
func (p *pipe) stream(row method, next grpc.StreamHandler) grpc.StreamHandler {
	rescue := recovery.StreamServerInterceptor(recovery.WithRecoveryHandler(describePanic))
	return func(service any, stream grpc.ServerStream) error {
		s, err := p.gate.session(stream.Context())
		if err != nil {
			return unauthenticated(err)
		}
		ctx, cancel := context.WithCancelCause(stream.Context())
		defer cancel(nil)
		go func() {
			select {
			case <-ctx.Done():
			case <-p.draining:
				cancel(errDraining)
			}
		}()
		c := call{pipe: p, row: row, caller: s.caller}
		defer c.end()
		err = rescue(service, &boundStream{stream, ctx, &c}, nil, next)
		if errors.Is(err, context.Canceled) && errors.Is(context.Cause(ctx), errDraining) {
			err = errDraining
		}
		return p.answers.asStatus(ctx, err)
	}
}

// boundStream ends when its context does, and receives like a unary call.
type boundStream struct {
	grpc.ServerStream
	ctx  context.Context //nolint:containedctx // gRPC gives a stream's context by a method of the stream
	call *call
}

func (s *boundStream) Context() context.Context { return s.ctx }

func (s *boundStream) RecvMsg(request any) error {
	return s.call.receive(s.ctx, request, s.ServerStream.RecvMsg)
}

// SendMsg looks first whether the caller may still be spoken to: its certificate may
// have been revoked, or the revocation list have ended, since the stream began.
func (s *boundStream) SendMsg(response any) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if _, err := s.call.pipe.gate.session(s.ctx); err != nil {
		return unauthenticated(err)
	}
	return s.ServerStream.SendMsg(response)
}
