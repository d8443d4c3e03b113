// Package server is the wire of the vault: gRPC over mutual TLS.
//
// It decides nothing about cards. It finds out who calls, turns messages into the
// vault's types and the vault's errors into status codes, and keeps every limit
// that can be kept without looking at what is asked for. What it holds to:
//
//   - Nobody speaks to it without a certificate that a configured authority signed,
//     that was not revoked, and whose one URI name is a SPIFFE id of the
//     configured trust domain. Health and reflection are no exceptions.
//   - The caller of a request is the one in the certificate of its connection, and
//     a connection ends with its certificate.
//   - A method without a row in the method table does not start (P8).
//   - No message is ever formatted or logged. A PAN leaves its message in the first
//     line of its handler.
//   - An error that is not meant for callers is logged here and answered with
//     "internal error" and where to find it.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/stats/opentelemetry"

	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
)

const (
	// reloadInterval is how soon changed TLS files are in force without a signal.
	reloadInterval = 15 * time.Second
	// handshakeTimeout is how long a stranger may take.
	handshakeTimeout = 10 * time.Second
	// streamWorkers keep goroutines with grown stacks (measured: 15–25 % more calls).
	streamWorkers = 32
	// streamsPerConnection bounds what one connection can have waiting.
	streamsPerConnection = 1000
	maxHeaderBytes       = 16 << 10
	// largestMessage is where gRPC stops reading. Up to it a request that is too large
	// for its method is refused with a reason.
	largestMessage = 4 << 20
	// connectionAge spreads clients anew over replicas that came later.
	connectionAge = 30 * time.Minute
)

// Server serves a vault. Make one with New and end it with Stop, even if it never
// served.
type Server struct {
	grpc   *grpc.Server
	health *health.Server
	gate   *gate
	pipe   *pipe
	files  *Watch
	log    *slog.Logger

	cancel     context.CancelFunc
	background sync.WaitGroup
	drain      sync.Once
}

// New loads the TLS files and makes a server that is not serving yet.
func New(cfg Config) (*Server, error) {
	trustDomain, err := cfg.check()
	if err != nil {
		return nil, err
	}
	meter := cfg.Metrics.Meter()
	counted, err := countRefusals(meter)
	if err != nil {
		return nil, err
	}
	s := &Server{log: cfg.Log, health: health.NewServer(), gate: newGate(cfg.Clock, cfg.Log, counted)}
	s.files, err = NewWatch(cfg.files(), func(contents [][]byte) error { return s.gate.load(contents, trustDomain) })
	if err != nil {
		return nil, err
	}
	s.pipe = &pipe{
		gate: s.gate, answers: answers{cfg.Log}, refuse: cfg.Vault.Refuse,
		room: int64(cfg.MaxInFlight), draining: make(chan struct{}),
	}
	if err := s.observe(meter); err != nil {
		return nil, err
	}
	services, err := s.register(cfg)
	if err != nil {
		return nil, err
	}
	s.start(services, cfg.Vault.Ready)
	return s, nil
}

// register makes the gRPC server and returns the names of the vault's services.
func (s *Server) register(cfg Config) ([]string, error) {
	rows := methods()
	s.grpc = grpc.NewServer(s.options(cfg)...)
	r := &registrar{Server: s.grpc, pipe: s.pipe, rows: rows}
	pb.RegisterCardServiceServer(r, &cards{vault: cfg.Vault, answers: s.pipe.answers})
	pb.RegisterTokenServiceServer(r, &tokens{vault: cfg.Vault})
	pb.RegisterBinRangeServiceServer(r, &binRanges{vault: cfg.Vault})
	pb.RegisterAuditServiceServer(r, &auditLog{vault: cfg.Vault})
	pb.RegisterKeyServiceServer(r, &keys{vault: cfg.Vault})
	services := []string{""} // health's name for the whole server
	for name := range s.grpc.GetServiceInfo() {
		services = append(services, name)
	}
	healthpb.RegisterHealthServer(r, s.health)
	// Open to every caller without a policy: it shows the .proto files alone.
	reflection.RegisterV1(r)
	if err := r.complete(); err != nil {
		s.grpc.Stop()
		return nil, err
	}
	return services, nil
}

func (s *Server) options(cfg Config) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(s.gate),
		grpc.UnknownServiceHandler(s.pipe.unknown),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxRecvMsgSize(largestMessage),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxConcurrentStreams(streamsPerConnection),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: connectionAge, MaxConnectionAgeGrace: 2 * long,
			Time: time.Minute, Timeout: 10 * time.Second,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime: 10 * time.Second, PermitWithoutStream: true,
		}),
		opentelemetry.ServerOption(opentelemetry.Options{
			MetricsOptions: opentelemetry.MetricsOptions{
				MeterProvider: cfg.Metrics.provider,
				Metrics:       stats.NewMetricSet(opentelemetry.ServerCallStartedMetricName, opentelemetry.ServerCallDurationMetricName),
			},
		}),
	}
}

// start begins to watch files and readiness. Until the first answer of ready the
// services are not serving.
func (s *Server) start(services []string, ready func(context.Context) error) {
	for _, service := range services {
		s.health.SetServingStatus(service, healthpb.HealthCheckResponse_NOT_SERVING)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.background.Go(func() { s.files.Run(ctx, reloadInterval, s.log) })
	s.background.Go(func() { watchReadiness(ctx, s.health, services, ready, s.log) })
}

// Serve answers on a listener until Stop, and then returns nil.
func (s *Server) Serve(listener net.Listener) error {
	if err := s.grpc.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// Reload puts changed TLS files in force now. On error the last good ones stay.
func (s *Server) Reload() error { return s.files.Check() }

// Stop ends the server: it reports itself as not serving, takes no new calls, lets
// those under way finish, and where ctx ends before they do, cuts them off and
// returns ctx's error. The vault can be closed after it.
func (s *Server) Stop(ctx context.Context) error {
	s.drain.Do(func() {
		s.cancel()
		s.health.Shutdown()
		close(s.pipe.draining)
	})
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		s.grpc.GracefulStop()
	}()
	var err error
	select {
	case <-finished:
	case <-ctx.Done():
		err = fmt.Errorf("calls under way were cut off: %w", ctx.Err())
		s.grpc.Stop()
		<-finished
	}
	s.background.Wait()
	return err
}
