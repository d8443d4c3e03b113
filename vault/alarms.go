package vault

import (
	"context"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// alarms tells operators what a caller is not told.
type alarms struct {
	log   *slog.Logger
	count metric.Int64Counter
}

func newAlarms(log *slog.Logger, meter metric.Meter) (*alarms, error) {
	count, err := meter.Int64Counter("cardvault.alarms",
		metric.WithDescription("Alarms raised, by what happened. Each is in the log."))
	if err != nil {
		return nil, fmt.Errorf("alarm metric: %w", err)
	}
	return &alarms{log, count}, nil
}

// raise logs an alarm and counts it. what is one of few fixed phrases.
func (a *alarms) raise(ctx context.Context, what string, err error, attrs ...slog.Attr) {
	attrs = append(attrs, slog.String("alarm", what), slog.Any("error", err))
	a.log.LogAttrs(ctx, slog.LevelError, "alarm", attrs...)
	a.count.Add(ctx, 1, metric.WithAttributes(attribute.String("alarm", what)))
}
