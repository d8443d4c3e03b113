package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/vaulttest"
)

// details returns what a client finds in a status.
func details(t *testing.T, err error) (info *errdetails.ErrorInfo, retry *errdetails.RetryInfo) {
	t.Helper()
	for _, detail := range status.Convert(err).Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			info = d
		case *errdetails.RetryInfo:
			retry = d
		default:
			t.Errorf("unexpected detail %T", d)
		}
	}
	if info == nil {
		t.Fatalf("no ErrorInfo in %v", err)
	}
	return info, retry
}

func TestErrorsBecomeStatuses(t *testing.T) {
	tests := map[string]struct {
		err    error
		code   codes.Code
		reason string
		field  string
	}{
		"invalid":      {vault.ErrPANCheckDigit.In("pan"), codes.InvalidArgument, "PAN_CHECK_DIGIT", "pan"},
		"denied":       {vault.ErrDenied, codes.PermissionDenied, "PERMISSION_DENIED", ""},
		"not found":    {vault.ErrTokenNotFound, codes.NotFound, "TOKEN_NOT_FOUND", ""},
		"conflict":     {vault.ErrBINRangeExists, codes.AlreadyExists, "BIN_RANGE_EXISTS", ""},
		"precondition": {vault.ErrCardClosed, codes.FailedPrecondition, "CARD_CLOSED", ""},
		"exhausted":    {vault.ErrBINRangeExhausted, codes.ResourceExhausted, "BIN_RANGE_EXHAUSTED", ""},
		"unavailable":  {vault.ErrKeysUnavailable, codes.Unavailable, "KEYS_UNAVAILABLE", ""},
		"wrapped":      {fmt.Errorf("while issuing: %w", vault.ErrCardClosed), codes.FailedPrecondition, "CARD_CLOSED", ""},
		"canceled":     {fmt.Errorf("read: %w", context.Canceled), codes.Canceled, "CANCELED", ""},
		"late":         {fmt.Errorf("read: %w", context.DeadlineExceeded), codes.DeadlineExceeded, "DEADLINE_EXCEEDED", ""},
		"integrity":    {vault.ErrIntegrity, codes.Internal, "INTEGRITY", ""},
		"any other":    {errors.New("disk on fire"), codes.Internal, "INTERNAL", ""},
		"zero kind":    {&vault.Error{Reason: "NEW", Message: "unheard of"}, codes.Internal, "NEW", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := answers{slog.New(slog.DiscardHandler)}
			err := a.asStatus(t.Context(), tt.err)
			info, retry := details(t, err)
			if status.Code(err) != tt.code || info.GetReason() != tt.reason || info.GetMetadata()["field"] != tt.field || info.GetDomain() != "cardvault" {
				t.Errorf("code %v, info %v, want %v, %s, field %q", status.Code(err), info, tt.code, tt.reason, tt.field)
			}
			if (retry != nil) != (tt.code == codes.Unavailable) {
				t.Errorf("retry %v", retry)
			}
			if incident := info.GetMetadata()["incident"]; (incident != "") != (tt.code == codes.Internal) {
				t.Errorf("incident %q: there is one where there is something to look up", incident)
			}
			item := a.explain(t.Context(), tt.err).item()
			if item.GetCode() != int32(tt.code) || item.GetReason() != tt.reason || item.GetField() != tt.field {
				t.Errorf("as an item: %v", item)
			}
		})
	}
}

// TestInternalErrorsStayInside: the caller gets a name for the error, and the log
// has the error under that name.
func TestInternalErrorsStayInside(t *testing.T) {
	var log vaulttest.LogBuffer
	err := answers{slog.New(slog.NewTextHandler(&log, nil))}.asStatus(t.Context(), errors.New("disk on fire"))
	info, _ := details(t, err)
	incident := info.GetMetadata()["incident"]
	if len(incident) != 16 || !strings.Contains(err.Error(), incident) {
		t.Errorf("incident %q in %v", incident, err)
	}
	if strings.Contains(err.Error(), "fire") {
		t.Errorf("the answer says what happened: %v", err)
	}
	if !strings.Contains(log.String(), incident) || !strings.Contains(log.String(), "disk on fire") {
		t.Errorf("not in the log:\n%s", log.String())
	}
}

func TestRefusalsAreNotLogged(t *testing.T) {
	var log vaulttest.LogBuffer
	_ = answers{slog.New(slog.NewTextHandler(&log, nil))}.asStatus(t.Context(), vault.ErrCardClosed)
	if log.String() != "" {
		t.Errorf("logged: %s", log.String())
	}
}

func TestStatusesPass(t *testing.T) {
	a := answers{slog.New(slog.DiscardHandler)}
	own := status.Error(codes.NotFound, "unknown service")
	if got := a.asStatus(t.Context(), own); !errors.Is(got, own) {
		t.Errorf("got %v", got)
	}
	if err := a.asStatus(t.Context(), nil); err != nil {
		t.Errorf("no error became %v", err)
	}
}
