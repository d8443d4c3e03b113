package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault"
)

const (
	// domain of google.rpc.ErrorInfo: whose reasons they are.
	domain = "cardvault"
	// retryAfter is what a client is told to wait before it tries again.
	retryAfter = time.Second
)

// What the server refuses before the vault is asked.
var (
	errMalformed  = &vault.Error{Kind: vault.Invalid, Reason: "REQUEST_MALFORMED", Message: "not a message of this method"}
	errTooLarge   = &vault.Error{Kind: vault.Exhausted, Reason: "REQUEST_TOO_LARGE", Message: "the request is larger than any sensible one"}
	errTimestamp  = &vault.Error{Kind: vault.Invalid, Reason: "TIMESTAMP_INVALID", Message: "want a time from year 1 to 9999"}
	errOverloaded = &vault.Error{Kind: vault.Unavailable, Reason: "OVERLOADED", Message: "too many calls at once; try again"}
	// errDraining ends streams: the server is about to stop.
	errDraining = &vault.Error{Kind: vault.Unavailable, Reason: "SERVER_STOPPING", Message: "the server is stopping; go on from where the stream ended"}
)

// codeOf is the one switch from what an error means to its status code.
func codeOf(kind vault.Kind) codes.Code {
	switch kind {
	case vault.Invalid:
		return codes.InvalidArgument
	case vault.Denied:
		return codes.PermissionDenied
	case vault.NotFound:
		return codes.NotFound
	case vault.Conflict:
		return codes.AlreadyExists
	case vault.Precondition:
		return codes.FailedPrecondition
	case vault.Exhausted:
		return codes.ResourceExhausted
	case vault.Unavailable:
		return codes.Unavailable
	default:
		return codes.Internal
	}
}

// answer is an error as its caller may know it.
type answer struct {
	code                   codes.Code
	reason, field, message string
	// incident finds an internal error in the log.
	incident string
}

// answers explains errors to callers. What they may not know it logs.
type answers struct {
	log *slog.Logger
}

func (a answers) explain(ctx context.Context, err error) answer {
	var known *vault.Error
	switch {
	case errors.As(err, &known) && known.Kind != vault.Internal:
		return answer{code: codeOf(known.Kind), reason: known.Reason, field: known.Field, message: known.Error()}
	case errors.Is(err, context.Canceled):
		return answer{code: codes.Canceled, reason: "CANCELED", message: "the caller gave up"}
	case errors.Is(err, context.DeadlineExceeded):
		return answer{code: codes.DeadlineExceeded, reason: "DEADLINE_EXCEEDED", message: "not done in time; repeat with the same request id"}
	case errors.As(err, &known):
		return a.internal(ctx, known.Reason, err)
	default:
		return a.internal(ctx, vault.ErrInternal.Reason, err)
	}
}

// internal logs the error and answers with where to find it. The text of an error
// names fields and never holds values.
func (a answers) internal(ctx context.Context, reason string, err error) answer {
	incident := newIncident()
	method, _ := grpc.Method(ctx)
	a.log.LogAttrs(ctx, slog.LevelError, "call failed",
		slog.String("incident", incident), slog.String("method", method), slog.Any("error", err))
	return answer{
		code: codes.Internal, reason: reason, incident: incident,
		message: vault.ErrInternal.Message + ", incident " + incident,
	}
}

func newIncident() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b[:])
}

// status is the error as a gRPC status, with details that a program can read.
func (a answer) status() *status.Status {
	info := &errdetails.ErrorInfo{Reason: a.reason, Domain: domain}
	if a.field != "" {
		info.Metadata = map[string]string{"field": a.field}
	}
	if a.incident != "" {
		info.Metadata = map[string]string{"incident": a.incident}
	}
	details := []protoadapt.MessageV1{info}
	if a.code == codes.Unavailable {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)})
	}
	bare := status.New(a.code, a.message)
	detailed, err := bare.WithDetails(details...)
	if err != nil {
		return bare
	}
	return detailed
}

// item is the error as the status of one item of a batch.
func (a answer) item() *pb.ItemError {
	return &pb.ItemError{
		Code:   int32(a.code), //nolint:gosec // 0–16
		Reason: a.reason, Field: a.field, Message: a.message,
	}
}

// asStatus turns the error of a call into its status. gRPC's own errors are
// statuses already.
func (a answers) asStatus(ctx context.Context, err error) error {
	var own interface{ GRPCStatus() *status.Status }
	if err == nil || errors.As(err, &own) {
		return err
	}
	return a.explain(ctx, err).status().Err()
}

// unauthenticated answers a call on a connection whose certificate is not good
// any more. Which of the reasons it is, is for whoever holds the certificate.
func unauthenticated(why error) error {
	return answer{code: codes.Unauthenticated, reason: "UNAUTHENTICATED", message: "client certificate: " + refusalReason(why)}.status().Err()
}
