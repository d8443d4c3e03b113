package witness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// outcome is what became of asking one witness.
type outcome struct {
	peer  *peer
	lines []string
	err   error
}

// Cosign asks all witnesses at once for a cosignature on a checkpoint of this size,
// and returns the checkpoint with theirs appended as soon as there is a quorum, or ctx
// is done. prove returns the proof that the checkpoint extends a smaller tree of the
// log; it is called by one at a time, and not after Cosign has returned.
//
// Witnesses that the quorum did not wait for are still asked to the end: they keep up,
// and what they have seen is not lost. A ForkedError that one of them finds is returned
// by the next call.
//
// The error is ErrForked or ErrAhead, as a ForkedError, or ErrNoQuorum.
func (c *Client) Cosign(ctx context.Context, checkpoint []byte, size int64, prove func(old int64) (tlog.TreeProof, error)) ([]byte, error) {
	if err := c.foundBefore(); err != nil {
		return nil, err
	}
	keys, err := c.keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("keys of the log: %w", err)
	}
	ours, err := openCheckpoint(checkpoint, keys...)
	if err != nil || ours.Size != size {
		return nil, errors.Join(errors.New("not a checkpoint of this log and size"), err)
	}
	q := &question{client: c, keys: keys, note: checkpoint, ours: ours, proofs: newProver(prove)}
	defer q.proofs.close()
	// What waits for its turn with a witness gives up when this call returns: there
	// will be a newer checkpoint to ask for.
	waiting, done := context.WithCancel(ctx)
	defer done()
	answers := make(chan outcome, len(c.peers))
	for _, p := range c.peers {
		c.asking.Go(func() { answers <- c.ask(waiting, p, q) })
	}
	return c.gather(ctx, checkpoint, answers)
}

// gather waits for a quorum.
func (c *Client) gather(ctx context.Context, checkpoint []byte, answers <-chan outcome) ([]byte, error) {
	var lines []string
	missing := make(map[string]error, len(c.peers))
	for _, p := range c.peers {
		missing[p.key.Name()] = errSlow
	}
	for range c.peers {
		var a outcome
		select {
		case a = <-answers:
		case <-ctx.Done():
			return nil, noQuorum(missing)
		}
		missing[a.peer.key.Name()] = a.err
		if _, forked := errors.AsType[*ForkedError](a.err); forked {
			_ = c.foundBefore() // told now
			return nil, a.err
		}
		if a.err != nil {
			continue
		}
		lines = append(lines, a.lines...)
		slices.Sort(lines)
		cosigned := append(slices.Clone(checkpoint), strings.Join(lines, "")...)
		if c.policy.quorum.Satisfied(cosigned) {
			return cosigned, nil
		}
	}
	return nil, noQuorum(missing)
}

// errSlow is why a witness has not cosigned that has not answered.
var errSlow = errors.New("has not answered in time")

func noQuorum(missing map[string]error) error {
	var why []error
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		if err := missing[name]; err != nil {
			why = append(why, fmt.Errorf("%s: %w", name, err))
		}
	}
	return fmt.Errorf("%w: %w", ErrNoQuorum, errors.Join(why...))
}

// ask has a turn with one witness.
func (c *Client) ask(waiting context.Context, p *peer, q *question) outcome {
	// The turn is not cut short by the end of the call, only by its own timeout.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(waiting), c.timeout)
	defer cancel()
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-waiting.Done():
		return outcome{peer: p, err: errSlow}
	case <-ctx.Done():
		return outcome{peer: p, err: errSlow}
	}
	lines, err := q.put(ctx, p)
	c.tell(ctx, p, err)
	return outcome{peer: p, lines: lines, err: err}
}

// tell logs when a witness begins to fail and when it is back, and keeps what it
// has found of a fork.
func (c *Client) tell(ctx context.Context, p *peer, err error) {
	name := slog.String("witness", p.key.Name())
	switch {
	case err != nil && !p.failing:
		c.log.WarnContext(ctx, "a witness does not cosign", name, slog.Any("error", err))
	case err == nil && p.failing:
		c.log.InfoContext(ctx, "a witness cosigns again", name)
	}
	p.failing = err != nil
	if _, forked := errors.AsType[*ForkedError](err); forked {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.forked = err
	}
}

// foundBefore returns, once, what a witness has found since the last call.
func (c *Client) foundBefore() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.forked
	c.forked = nil
	return err
}
