package server

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/vaulttest"
)

var row = method{action: access.GetCard, deadline: time.Minute, largest: 1000}

// newPipe is a pipe with room for one call, and a context of a known caller.
func newPipe(t *testing.T, log *vaulttest.LogBuffer) (*pipe, context.Context) {
	t.Helper()
	g := newGate(time.Now, slog.New(slog.DiscardHandler), func(string) {})
	g.trust.Store(&trust{})
	s := &session{caller: vault.Caller{Tenant: "demo", Name: "issuer"}, end: time.Now().Add(time.Hour)}
	s.passed.Store(g.trust.Load())
	p := &pipe{
		gate: g, answers: answers{slog.New(slog.NewTextHandler(log, nil))}, room: 1, draining: make(chan struct{}),
		refuse: func(_ context.Context, _ vault.Caller, _ access.Action, why *vault.Error) error { return why },
	}
	return p, peer.NewContext(t.Context(), &peer.Peer{AuthInfo: s})
}

// handler does what generated code does: decode, then answer.
func handler(answer func(context.Context) (any, error)) grpc.MethodHandler {
	return func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		if err := decode(&pb.GetCardRequest{}); err != nil {
			return nil, err
		}
		return answer(ctx)
	}
}

func arrived(any) error { return nil }

func TestDeadlineOfTheRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, ctx := newPipe(t, &vaulttest.LogBuffer{})
		begin := time.Now()
		_, err := p.unary(row, handler(func(ctx context.Context) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}))(nil, ctx, arrived, nil)
		if status.Code(err) != codes.DeadlineExceeded || time.Since(begin) != row.deadline {
			t.Errorf("error %v after %v, want DEADLINE_EXCEEDED after %v", err, time.Since(begin), row.deadline)
		}
	})
}

func TestCallersDeadlineIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, ctx := newPipe(t, &vaulttest.LogBuffer{})
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		begin := time.Now()
		_, err := p.unary(row, handler(func(ctx context.Context) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}))(nil, ctx, arrived, nil)
		if status.Code(err) != codes.DeadlineExceeded || time.Since(begin) != time.Second {
			t.Errorf("error %v after %v, want DEADLINE_EXCEEDED after 1s", err, time.Since(begin))
		}
	})
}

func TestRoomForCalls(t *testing.T) {
	p, ctx := newPipe(t, &vaulttest.LogBuffer{})
	begun, finish := make(chan struct{}), make(chan struct{})
	slow := p.unary(row, handler(func(context.Context) (any, error) {
		close(begun)
		<-finish
		return "slow", nil
	}))
	quick := p.unary(row, handler(func(context.Context) (any, error) { return "quick", nil }))
	finished := make(chan error)
	go func() {
		_, err := slow(nil, ctx, arrived, nil)
		finished <- err
	}()
	<-begun
	if _, err := quick(nil, ctx, arrived, nil); status.Code(err) != codes.Unavailable {
		t.Errorf("one call too many: error %v, want UNAVAILABLE", err)
	}
	health := p.unary(method{deadline: time.Minute, largest: 1000}, handler(func(context.Context) (any, error) { return "well", nil }))
	if _, err := health(nil, ctx, arrived, nil); err != nil {
		t.Errorf("health: %v", err)
	}
	close(finish)
	if err := <-finished; err != nil {
		t.Error(err)
	}
	if _, err := quick(nil, ctx, arrived, nil); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if n := p.inFlight.Load(); n != 0 {
		t.Errorf("%d calls in flight at the end", n)
	}
}

// TestSilentCallerHoldsNoPlace: who opens calls and sends no request cannot keep
// others out.
func TestSilentCallerHoldsNoPlace(t *testing.T) {
	p, ctx := newPipe(t, &vaulttest.LogBuffer{})
	quick := p.unary(row, handler(func(context.Context) (any, error) { return "quick", nil }))
	waiting, give := make(chan struct{}), make(chan struct{})
	finished := make(chan error)
	go func() {
		_, err := quick(nil, ctx, func(any) error {
			close(waiting)
			<-give
			return status.Error(codes.Canceled, "gone")
		}, nil)
		finished <- err
	}()
	<-waiting
	if _, err := quick(nil, ctx, arrived, nil); err != nil {
		t.Error(err)
	}
	close(give)
	if err := <-finished; status.Code(err) != codes.Canceled {
		t.Errorf("error %v, want CANCELED", err)
	}
}

func TestUnknownCallerIsNotRead(t *testing.T) {
	p, _ := newPipe(t, &vaulttest.LogBuffer{})
	decode := func(any) error {
		t.Error("the request was read")
		return nil
	}
	for name, ctx := range map[string]context.Context{
		"no peer":     t.Context(),
		"no identity": peer.NewContext(t.Context(), &peer.Peer{}),
	} {
		_, err := p.unary(row, handler(func(context.Context) (any, error) { return "leak", nil }))(nil, ctx, decode, nil)
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: error %v, want UNAUTHENTICATED", name, err)
		}
		if got := callerOf(ctx); got != (vault.Caller{}) {
			t.Errorf("%s: the caller is %+v", name, got)
		}
	}
}

type cardHolder struct{ number string }

func TestPanicSaysWhereButNotWhat(t *testing.T) {
	const number = "4111111111111111"
	for name, value := range map[string]any{
		"string": number, "struct": cardHolder{number}, "error": errors.New(number), "pointer": &cardHolder{number},
	} {
		t.Run(name, func(t *testing.T) {
			var log vaulttest.LogBuffer
			p, ctx := newPipe(t, &log)
			_, err := p.unary(row, handler(func(context.Context) (any, error) { panic(value) }))(nil, ctx, arrived, nil)
			if status.Code(err) != codes.Internal {
				t.Errorf("error %v, want INTERNAL", err)
			}
			if strings.Contains(err.Error()+log.String(), number) {
				t.Errorf("the value is in the answer or the log: %v\n%s", err, log.String())
			}
			if !strings.Contains(log.String(), "server.TestPanicSaysWhereButNotWhat") {
				t.Errorf("the log does not say where:\n%s", log.String())
			}
			if p.inFlight.Load() != 0 {
				t.Error("the call still holds its place")
			}
		})
	}
}

func TestPanicOfTheRuntime(t *testing.T) {
	var log vaulttest.LogBuffer
	p, ctx := newPipe(t, &log)
	var none *vault.Vault
	_, err := p.unary(row, handler(func(ctx context.Context) (any, error) { return nil, none.Ready(ctx) }))(nil, ctx, arrived, nil)
	if status.Code(err) != codes.Internal || !strings.Contains(log.String(), "runtime.errorString in") {
		t.Errorf("error %v, log:\n%s", err, log.String())
	}
}

// TestReceive: what is wrong with a request is told apart from a request that did
// not arrive.
func TestReceive(t *testing.T) {
	gone := status.Error(codes.Unavailable, "transport is closing")
	arrives := func(wire []byte) func(any) error {
		return func(v any) error { return newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(wire)}, v) }
	}
	fails := func(err error) func(any) error { return func(any) error { return err } }
	tests := map[string]struct {
		request any
		decode  func(any) error
		why     *vault.Error
		want    error
	}{
		"good":              {&pb.GetCardRequest{}, arrives([]byte("\x0a\x01x")), nil, nil},
		"empty":             {&pb.GetCardRequest{}, arrives(nil), nil, nil},
		"too large for row": {&pb.GetCardRequest{}, arrives(append([]byte("\x0a\x63"), strings.Repeat("x", 99)...)), errTooLarge, nil},
		"too large for all": {&pb.GetCardRequest{}, fails(status.Error(codes.ResourceExhausted, "larger than max")), errTooLarge, nil},
		"cut short":         {&pb.GetCardRequest{}, arrives([]byte("\x0a\x02x")), errMalformed, nil},
		"not UTF-8":         {&pb.GetCardRequest{}, arrives([]byte("\x0a\x01\xff")), errMalformed, nil},
		"unknown field":     {&pb.GetCardRequest{}, arrives([]byte("\x7a\x01x")), vault.ErrUnknownField, nil},
		"bad framing":       {&pb.GetCardRequest{}, fails(status.Error(codes.Internal, "no message")), errMalformed, nil},
		"no message type":   {"text", arrives(nil), errMalformed, nil},
		"gone":              {&pb.GetCardRequest{}, fails(gone), nil, gone},
	}
	for name, tt := range tests {
		why, err := receive(tt.request, 100, tt.decode)
		if why != tt.why || !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, %v, want %v, %v", name, why, err, tt.why, tt.want)
		}
	}
}
