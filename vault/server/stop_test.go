package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/vaulttest"
)

// stall makes refused calls wait until release is closed or they are cut off, and
// tells begun of each.
func (s *site) stall() (begun chan struct{}, release chan struct{}) {
	begun, release = make(chan struct{}), make(chan struct{})
	s.server.pipe.refuse = func(ctx context.Context, _ vault.Caller, _ access.Action, why *vault.Error) error {
		close(begun)
		select {
		case <-release:
			return why
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return begun, release
}

// refusedCall makes a call that is refused, in the background.
func refusedCall(t *testing.T, s *site) chan error {
	t.Helper()
	client := pb.NewCardServiceClient(s.dial(t, "issuer"))
	answered := make(chan error, 1)
	request := &pb.GetCardRequest{}
	request.ProtoReflect().SetUnknown(anUnknownField())
	go func() {
		_, err := client.GetCard(t.Context(), request)
		answered <- err
	}()
	return answered
}

func TestStopLetsCallsFinish(t *testing.T) {
	s := newSite(t)
	begun, release := s.stall()
	watching, err := healthpb.NewHealthClient(s.dial(t, "payments")).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watching.Recv(); err != nil {
		t.Fatal(err)
	}
	answered := refusedCall(t, s)
	<-begun
	stopped := make(chan error, 1)
	go func() { stopped <- s.server.Stop(context.Background()) }()
	// The stream of health ends by itself: stopping has begun, and a watcher does not
	// hold it up.
	for err = nil; err == nil; {
		_, err = watching.Recv()
	}
	select {
	case err := <-stopped:
		t.Errorf("stopped with %v before the call was answered", err)
	default:
	}
	close(release)
	if err := <-answered; reasonOf(t, err) != "UNKNOWN_FIELD" {
		t.Errorf("the call under way: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := ping(t, s.dial(t, "issuer")); status.Code(err) != codes.Unavailable {
		t.Errorf("after the end: error %v, want UNAVAILABLE", err)
	}
	said, err := s.server.health.Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil || said.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("health says %v, %v at the end", said, err)
	}
}

func TestStopCutsOffWhatTakesTooLong(t *testing.T) {
	s := newSite(t)
	begun, _ := s.stall()
	answered := refusedCall(t, s)
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.server.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that calls were cut off", err)
	}
	if err := <-answered; err == nil {
		t.Error("the call was answered")
	}
}

func TestStopLeavesNothingBehind(t *testing.T) {
	s := newSite(t)
	cfg := s.config()
	cfg.Vault, cfg.Metrics = s.vault, newMetrics(t)
	before := goleak.IgnoreCurrent()
	unused, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := unused.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := unused.Stop(t.Context()); err != nil {
		t.Errorf("the second time: %v", err)
	}
	goleak.VerifyNone(t, before)
}

// TestServing waits for the server to say that it can answer, for each service.
func TestServing(t *testing.T) {
	s := newSite(t)
	client := healthpb.NewHealthClient(s.dial(t, "issuer"))
	for _, service := range []string{
		"", "cardvault.v1.CardService", "cardvault.v1.TokenService", "cardvault.v1.BinRangeService", "cardvault.v1.AuditService",
	} {
		stream, err := client.Watch(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		for now := healthpb.HealthCheckResponse_UNKNOWN; now != healthpb.HealthCheckResponse_SERVING; {
			response, err := stream.Recv()
			if err != nil || response.GetStatus() == healthpb.HealthCheckResponse_SERVICE_UNKNOWN {
				t.Fatalf("%q: %v, %v", service, response, err)
			}
			now = response.GetStatus()
		}
	}
}

func TestReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log vaulttest.LogBuffer
		h := health.NewServer()
		var asked atomic.Value // of how the store is
		asked.Store("down")
		ready := func(context.Context) error {
			if asked.Load() == "down" {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			watchReadiness(ctx, h, []string{"x"}, ready, slog.New(slog.NewTextHandler(&log, nil)))
		}()
		check := func(want healthpb.HealthCheckResponse_ServingStatus) {
			t.Helper()
			synctest.Wait()
			got, err := h.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "x"})
			if err != nil || got.GetStatus() != want {
				t.Errorf("%v, %v, want %v", got.GetStatus(), err, want)
			}
		}
		check(healthpb.HealthCheckResponse_NOT_SERVING)
		asked.Store("up")
		time.Sleep(readyInterval)
		check(healthpb.HealthCheckResponse_SERVING)
		asked.Store("down")
		time.Sleep(3 * readyInterval)
		check(healthpb.HealthCheckResponse_NOT_SERVING)
		cancel()
		<-ended
		if n := strings.Count(log.String(), "msg="); n != 2 {
			t.Errorf("%d lines in the log, want one for each change:\n%s", n, log.String())
		}
	})
}

// TestSlowStoreIsNotReady: an answer that does not come is a no.
func TestSlowStoreIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		now := readiness(t.Context(), func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}, healthpb.HealthCheckResponse_SERVING, slog.New(slog.DiscardHandler))
		if now != healthpb.HealthCheckResponse_NOT_SERVING || time.Since(begin) != readyTimeout {
			t.Errorf("%v after %v", now, time.Since(begin))
		}
	})
}
