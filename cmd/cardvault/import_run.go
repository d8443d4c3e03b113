package main

import (
	"context"
	"errors"
	"io"

	"golang.org/x/sync/errgroup"
)

const (
	// importBatch is the most that one call takes.
	importBatch = 1000
	// importAhead batches are on their way while one is being acknowledged, so that
	// neither side waits for the other.
	importAhead = 3
)

// pending is a batch on its way.
type pending struct {
	through  int64
	outcomes chan []outcome
}

// importing is one run over an input.
type importing struct {
	lines  *lineReader
	send   func(ctx context.Context, lines []importLine) ([]outcome, error)
	state  *importState
	tokens *tokenFile
	// progress is told of every line dealt with.
	progress func(through int64)
}

// run sends every line from where the state ends, a few batches at a time, and
// acknowledges them in the order of the input: the state is one number, and all
// lines up to it are done.
func (im *importing) run(ctx context.Context) error {
	if err := im.lines.Skip(im.state.Through); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	queue := make(chan pending, importAhead)
	g.Go(func() error {
		defer close(queue)
		return im.read(ctx, g, queue)
	})
	g.Go(func() error { return im.acknowledge(ctx, queue) })
	return g.Wait()
}

// read cuts the input into batches and sends each in a goroutine of its own.
func (im *importing) read(ctx context.Context, g *errgroup.Group, queue chan<- pending) error {
	for {
		batch, err := im.batch()
		if err != nil || len(batch) == 0 {
			return err
		}
		p := pending{through: batch[len(batch)-1].number, outcomes: make(chan []outcome, 1)}
		select {
		case queue <- p: // full while too many are on their way
		case <-ctx.Done():
			return ctx.Err()
		}
		g.Go(func() error {
			outcomes, err := im.send(ctx, batch)
			if err != nil {
				return err
			}
			p.outcomes <- outcomes
			return nil
		})
	}
}

// batch reads the next lines; none at the end.
func (im *importing) batch() ([]importLine, error) {
	batch := make([]importLine, 0, importBatch)
	for len(batch) < importBatch {
		line, err := im.lines.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, failed("run the same command again to go on", "%w", err)
		}
		batch = append(batch, line)
	}
	return batch, nil
}

// acknowledge makes durable what the batches came to. Tokens go first: the state
// says how long their file is, and what a crash leaves beyond that is cut off.
func (im *importing) acknowledge(ctx context.Context, queue <-chan pending) error {
	for p := range queue {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case outcomes := <-p.outcomes:
			done := sum(outcomes)
			done.Through = p.through
			var err error
			if done.TokensEnd, err = im.tokens.Append(outcomes); err != nil {
				return err
			}
			if err := im.state.Acknowledge(done); err != nil {
				return err
			}
			im.progress(p.through)
		}
	}
	return nil
}

// sum counts what became of a batch.
func sum(outcomes []outcome) importDone {
	var done importDone
	for _, o := range outcomes {
		switch {
		case o.refused != "":
			done.Refused = append(done.Refused, refusedLine{Line: o.line, Reason: o.refused})
		case o.duplicate:
			done.Duplicate++
		default:
			done.Accepted++
		}
	}
	return done
}
