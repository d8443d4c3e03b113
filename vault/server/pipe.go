package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/access"
)

// pipe is what every call passes on its way to its handler and back, in this order:
//
//  1. the caller's certificate is still good;
//  2. the deadline of the method's row begins;
//  3. the request arrives, and only then takes one of the places for calls, so
//     that a caller who sends nothing holds none;
//  4. the request parses, is not too large and has no unknown field; a refusal
//     here is recorded as the vault's own are (only that there was no place is
//     not: it says nothing of the caller, and recording it takes what there is
//     too little of);
//  5. the handler, and through it the vault, which decides and records;
//  6. an error or panic becomes a status that says no more than it should.
//
// It wraps handlers at their registration, before gRPC decodes a request:
// interceptors of gRPC come after that.
type pipe struct {
	gate    *gate
	answers answers
	// refuse records a refusal in the audit log and returns what to answer.
	refuse func(ctx context.Context, c vault.Caller, a access.Action, why *vault.Error) error
	// room is how many calls are answered at once; inFlight is how many are.
	room     int64
	inFlight atomic.Int64
	// streams are the places of the vault's streams, which last too long to take
	// those of calls.
	streams places
	// draining is closed when streams have to end.
	draining chan struct{}
}

// unary puts a handler behind its row of the method table.
func (p *pipe) unary(row method, next grpc.MethodHandler) grpc.MethodHandler {
	rescue := recovery.UnaryServerInterceptor(recovery.WithRecoveryHandler(describePanic))
	return func(service any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		s, err := p.gate.session(ctx)
		if err != nil {
			return nil, unauthenticated(err)
		}
		ctx, cancel := context.WithTimeout(ctx, row.deadline)
		defer cancel()
		c := call{pipe: p, row: row, caller: s.caller}
		defer c.end()
		response, err := rescue(ctx, nil, nil, func(ctx context.Context, _ any) (any, error) {
			return next(service, ctx, func(request any) error { return c.receive(ctx, request, decode) }, nil)
		})
		if err != nil {
			return nil, p.answers.asStatus(ctx, err)
		}
		return response, nil
	}
}

// unknown answers what has no method, and only to those who are known.
func (p *pipe) unknown(_ any, stream grpc.ServerStream) error {
	if _, err := p.gate.session(stream.Context()); err != nil {
		return unauthenticated(err)
	}
	return answer{code: codes.Unimplemented, reason: "METHOD_UNKNOWN", message: "no such method"}.status().Err()
}

// call is one call in the pipe.
type call struct {
	pipe   *pipe
	row    method
	caller vault.Caller
	// leave gives the call's place back; nil: it has none.
	leave func()
}

// receive reads the call's one request. Methods of gRPC's own take no place, and
// those of them that stream may receive more.
func (c *call) receive(ctx context.Context, request any, decode func(any) error) error {
	why, err := receive(request, c.row.largest, decode)
	if c.row.action == "" {
		if why != nil {
			return why
		}
		return err
	}
	if errors.Is(err, io.EOF) { // a stream that its caller ended without a request
		why = errMalformed
	}
	if !c.enter() {
		return errOverloaded
	}
	if why != nil {
		return c.refuse(ctx, why)
	}
	return err
}

// refuse records why a request is refused. Where gRPC has answered that already it
// has ended the call's context too.
func (c *call) refuse(ctx context.Context, why *vault.Error) error {
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), short)
		defer cancel()
	}
	return c.pipe.refuse(ctx, c.caller, c.row.action, why)
}

// enter takes one of the places, and reports whether there was one.
func (c *call) enter() (entered bool) {
	if c.row.deadline == 0 {
		c.leave, entered = c.pipe.streams.take(c.caller.SPIFFE)
		return entered
	}
	c.leave = func() { c.pipe.inFlight.Add(-1) }
	return c.pipe.inFlight.Add(1) <= c.pipe.room
}

func (c *call) end() {
	if c.leave != nil {
		c.leave()
	}
}

// describePanic says what panicked and where, never with which value: a value may
// hold anything.
func describePanic(value any) error {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs[:])])
	var calls []string
	for panicked := false; ; {
		frame, more := frames.Next()
		if panicked && !strings.HasPrefix(frame.Function, "runtime.") {
			calls = append(calls, fmt.Sprintf("%s:%d", frame.Function, frame.Line))
		}
		panicked = panicked || frame.Function == "runtime.gopanic"
		if !more || len(calls) == 16 {
			break
		}
	}
	return fmt.Errorf("%w: %T in %s", errPanic, value, strings.Join(calls, " < "))
}

var errPanic = errors.New("panic")
