package server

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

const (
	readyInterval = 5 * time.Second
	readyTimeout  = 4 * time.Second
)

// watchReadiness tells health whether the services can answer, by asking ready at
// once and at every interval, until ctx ends.
func watchReadiness(ctx context.Context, h *health.Server, services []string, ready func(context.Context) error, log *slog.Logger) {
	ticker := time.NewTicker(readyInterval)
	defer ticker.Stop()
	before := healthpb.HealthCheckResponse_NOT_SERVING
	for {
		now := readiness(ctx, ready, before, log)
		for _, service := range services {
			h.SetServingStatus(service, now)
		}
		before = now
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// readiness asks once and logs where the answer is another than before.
func readiness(ctx context.Context, ready func(context.Context) error, before healthpb.HealthCheckResponse_ServingStatus, log *slog.Logger) healthpb.HealthCheckResponse_ServingStatus {
	asking, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	err := ready(asking)
	switch {
	case err == nil && before != healthpb.HealthCheckResponse_SERVING:
		log.InfoContext(ctx, "ready")
	case err != nil && before == healthpb.HealthCheckResponse_SERVING:
		log.ErrorContext(ctx, "not ready", slog.Any("error", err))
	}
	if err != nil {
		return healthpb.HealthCheckResponse_NOT_SERVING
	}
	return healthpb.HealthCheckResponse_SERVING
}
