package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

// outcome is what became of one line.
type outcome struct {
	line        int64
	duplicate   bool
	refused     string // reason; empty: taken in
	card, token string
}

// sender sends batches, as often as it takes: each line keeps its request id, so
// that the server does it once.
type sender struct {
	cards     cardvaultv1.CardServiceClient
	requestID func(line int64) string
	timeout   time.Duration
	// pause waits before the next try, unless ctx ends.
	pause func(ctx context.Context, d time.Duration) error
}

const (
	// sendTries bridge a fail-over: with doubling pauses, about half a minute.
	sendTries  = 9
	firstPause = 100 * time.Millisecond
	maxPause   = 10 * time.Second
)

// send returns what became of each line, in order, once every one is settled.
func (s *sender) send(ctx context.Context, lines []importLine) ([]outcome, error) {
	outcomes := make([]outcome, len(lines))
	var open []int
	for i, line := range lines {
		outcomes[i] = outcome{line: line.number, refused: line.refused}
		if line.refused == "" {
			open = append(open, i)
		}
	}
	wait := firstPause
	for try := 1; len(open) > 0; try++ {
		unsettled, err := s.once(ctx, lines, open, outcomes)
		if err != nil && (!passing(status.Code(err)) || try == sendTries) {
			return nil, err
		}
		if open = unsettled; len(open) == 0 {
			break
		}
		if err := s.pause(ctx, wait); err != nil {
			return nil, err
		}
		wait = min(2*wait, maxPause)
	}
	return outcomes, nil
}

// once sends the open lines, and returns those that are still open with the error
// that keeps them so.
func (s *sender) once(ctx context.Context, lines []importLine, open []int, outcomes []outcome) ([]int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	batch := &cardvaultv1.BatchTokenizeCardsRequest{Requests: make([]*cardvaultv1.TokenizeCardRequest, len(open))}
	for i, at := range open {
		batch.Requests[i] = &cardvaultv1.TokenizeCardRequest{
			RequestId: s.requestID(lines[at].number), Pan: lines[at].pan, Expiry: lines[at].expiry,
		}
	}
	answer, err := s.cards.BatchTokenizeCards(ctx, batch)
	if err != nil {
		return open, err
	}
	if len(answer.GetResults()) != len(open) {
		return nil, status.Errorf(codes.Internal, "the server answered %d of %d lines", len(answer.GetResults()), len(open))
	}
	var unsettled []int
	for i, result := range answer.GetResults() {
		if itemErr := settle(&outcomes[open[i]], result); itemErr != nil {
			unsettled, err = append(unsettled, open[i]), itemErr
			if !passing(status.Code(itemErr)) {
				return nil, itemErr
			}
		}
	}
	return unsettled, err
}

// settle notes what one line came to, or returns the error that says nothing about
// the line itself.
func settle(o *outcome, result *cardvaultv1.BatchTokenizeCardsResponse_Result) error {
	refusal := result.GetError()
	if refusal == nil {
		response := result.GetResponse()
		o.duplicate, o.card, o.token = response.GetExisting(), response.GetCard().GetId(), response.GetToken()
		return nil
	}
	code := codes.Code(refusal.GetCode()) //nolint:gosec // a gRPC code; an unknown one stays unknown
	if passing(code) || code == codes.PermissionDenied || code == codes.Unauthenticated {
		return &exitError{
			code: codeOf(code), reason: refusal.GetReason(), next: nextSteps[refusal.GetReason()],
			err: itemError{code, fmt.Sprintf("line %d: %s", o.line, refusal.GetMessage())},
		}
	}
	o.refused = refusal.GetReason()
	return nil
}

// itemError is a status of one item.
type itemError struct {
	code    codes.Code
	message string
}

func (e itemError) Error() string { return e.message }

// GRPCStatus lets status.Code read it.
func (e itemError) GRPCStatus() *status.Status { return status.New(e.code, e.message) }

// passing reports whether trying again may help.
func passing(c codes.Code) bool {
	switch c {
	case codes.Unavailable, codes.Aborted, codes.DeadlineExceeded:
		return true
	default:
		return false
	}
}

// pause is time.Sleep that ends with ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
