package ledger

import (
	"context"
	"errors"
	"log/slog"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// The alarms, as operators find them in the log and in the metric of all alarms.
const (
	alarmHalted    = "audit log halted"
	alarmStalled   = "audit log stalled"
	alarmPublish   = "checkpoint not published"
	alarmChain     = "chain refused"
	alarmWitness   = "witness not heard"
	alarmAltered   = "audit log altered"
	alarmRetention = "retention not applied"
)

// raise tells operators, as the vault's own alarms do.
func (l *Ledger) raise(ctx context.Context, what string, err error, attrs ...slog.Attr) {
	attrs = append(attrs, slog.String("alarm", what), slog.Any("error", err))
	l.cfg.Log.LogAttrs(ctx, slog.LevelError, "alarm", attrs...)
	l.metrics.alarms.Add(ctx, 1, metric.WithAttributes(attribute.String("alarm", what)))
}

// A failure that the next step may get over is an alarm after this many in a row,
// about a second, and once more each minute.
const (
	alarmAfter = 4
	alarmEvery = 240
)

// streak counts the failures of one kind in a row.
type streak struct {
	what string
	n    int
}

// note takes the outcome of one more step.
func (l *Ledger) note(ctx context.Context, s *streak, err error) {
	switch {
	case err == nil:
		s.n = 0
		return
	case errors.Is(err, ErrFenced), errors.Is(context.Cause(ctx), context.Canceled):
		return // the step was given up
	}
	if s.n++; s.n%alarmEvery == alarmAfter {
		l.raise(context.WithoutCancel(ctx), s.what, err)
	}
}

// halt makes the replica refuse everything from now on.
func (l *Ledger) halt(ctx context.Context, why *HaltedError) error {
	if l.halted.CompareAndSwap(nil, why) {
		l.raise(ctx, alarmHalted, why)
		l.metrics.halted.Record(ctx, 1)
		l.view.wake()
	}
	return why
}
