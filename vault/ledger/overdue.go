package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/cardvault/cardvault/vault/audit"
)

// overdueAfter is how long an entry may go without a checkpoint that covers it before
// its own replica raises an alarm.
const overdueAfter = time.Minute

// errOverdue: whoever has the lease is not doing its work, or is nobody.
var errOverdue = errors.New("an entry of this replica is not covered by a checkpoint a minute later")

// own is an entry of this replica, and since when it is known.
type own struct {
	number int64
	since  time.Time
}

// checkOwn looks once a minute whether what this replica had written a minute before is
// in the log by now. Who sequences raises alarms about what keeps it from that, but
// whoever may write to the database can have the lease and be no sequencer.
func (l *Ledger) checkOwn(ctx context.Context) {
	now := l.cfg.Clock()
	if l.own.since.IsZero() {
		l.own.since = now // its first entry, which is durable before it looks
	}
	if now.Sub(l.own.since) < overdueAfter {
		return
	}
	tail, ok, err := l.cfg.Store.ChainTail(ctx, l.cfg.Replica)
	if err != nil || !ok {
		return // a store that is down is an alarm already; nothing is written yet
	}
	if l.overdue(ctx, tail) {
		l.raise(ctx, alarmStalled, errOverdue)
	}
	l.own = own{number: max(l.own.number, tail.Number), since: now}
}

// overdue also where the tail was taken back: then nobody would sequence what it no
// longer covers.
func (l *Ledger) overdue(ctx context.Context, tail audit.Tail) bool {
	if tail.Number < l.own.number {
		return true
	}
	_, err := l.IndexOf(ctx, l.cfg.Replica, l.own.number)
	return errors.Is(err, ErrNoEntry) || errors.Is(err, ErrNoCheckpoint)
}
