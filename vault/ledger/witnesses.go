package ledger

import (
	"context"
	"errors"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Witnesses remember what they saw of the log, so that nobody who has only the
// database, not even all of it, can take anything back (C2SP tlog-witness).
type Witnesses interface {
	// Cosign returns the checkpoint with the signatures of a quorum of witnesses; an
	// error: there was none. prove returns the proof that the log begins with its
	// first old entries; it is safe for concurrent use until Cosign returns.
	Cosign(ctx context.Context, checkpoint []byte, size int64, prove func(old int64) (tlog.TreeProof, error)) ([]byte, error)
	// Latest returns the newest checkpoints of the log that witnesses saw. With an
	// error some could not be asked.
	Latest(ctx context.Context, origin string) ([][]byte, error)
}

const (
	askTimeout = 5 * time.Second
	// askEvery is how soon witnesses are asked again of whom some did not answer: a step
	// waits for that, and one that is gone for good must not cost more than a step now
	// and then. Where nothing is published for want of them it costs nothing.
	askEvery           = 10 * time.Minute
	askEveryUncosigned = time.Minute
	// askAgainTimeout is shorter than leaseTimeout: who asks again may lead.
	askAgainTimeout = 2 * time.Second
)

// askWitnesses returns what the witnesses saw. They are asked when the replica
// starts, and where a checkpoint was not cosigned, until all have answered.
func (l *Ledger) askWitnesses(ctx context.Context) [][]byte {
	now, every := l.cfg.Clock(), askEvery
	if l.uncosigned {
		every = askEveryUncosigned
	}
	if l.cfg.Witnesses == nil || l.answered && !l.uncosigned || !l.asked.IsZero() && now.Sub(l.asked) < every {
		return nil
	}
	l.uncosigned = false
	timeout := askTimeout
	if !l.asked.IsZero() {
		timeout = askAgainTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	latest, err := l.cfg.Witnesses.Latest(ctx, l.cfg.Origin)
	l.asked, l.answered = now, err == nil
	if err != nil {
		// A witness that is down must not keep the vault down.
		l.raise(ctx, alarmWitness, err)
	}
	return latest
}

// compare halts the replica where a witness saw a log that this one is not. What
// the log's key did not sign proves nothing but that the witness is ill.
func (l *Ledger) compare(ctx context.Context, latest [][]byte) error {
	for _, signed := range latest {
		c, err := l.open(ctx, signed)
		if _, bad := errors.AsType[*badCheckpointError](err); bad {
			l.raise(ctx, alarmWitness, err)
			continue
		}
		if err != nil {
			l.asked, l.answered = time.Time{}, false // the log's keys could not be read: ask again
			return err
		}
		if c.Size > l.known.N {
			return l.halt(ctx, rolledBack(c.Size, l.known.N))
		}
		if err := begins(ctx, l.cfg.Store, l.known, tlog.Tree{N: c.Size, Hash: c.Root}); err != nil {
			return l.judge(ctx, err, c.Size, "a witness has seen")
		}
	}
	return nil
}
