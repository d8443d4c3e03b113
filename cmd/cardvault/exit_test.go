package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func withReason(t *testing.T, code codes.Code, reason string) error {
	t.Helper()
	s, err := status.New(code, "why").WithDetails(&errdetails.ErrorInfo{Domain: "cardvault", Reason: reason})
	if err != nil {
		t.Fatal(err)
	}
	return s.Err()
}

func TestExitCodes(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		code   exitCode
		reason string
	}{
		"usage":            {errors.New("unknown flag"), exitUsage, ""},
		"own failure":      {ranError{errors.New("disk full")}, exitFailed, ""},
		"own usage":        {ranError{usage("", "no")}, exitUsage, ""},
		"invalid":          {ranError{withReason(t, codes.InvalidArgument, "PAN_LENGTH")}, exitFailed, "PAN_LENGTH"},
		"conflict":         {withReason(t, codes.AlreadyExists, "BIN_RANGE_EXISTS"), exitFailed, "BIN_RANGE_EXISTS"},
		"denied":           {withReason(t, codes.PermissionDenied, "PERMISSION_DENIED"), exitDenied, "PERMISSION_DENIED"},
		"unauthenticated":  {withReason(t, codes.Unauthenticated, "UNAUTHENTICATED"), exitDenied, "UNAUTHENTICATED"},
		"not found":        {fmt.Errorf("get: %w", withReason(t, codes.NotFound, "CARD_NOT_FOUND")), exitNotFound, "CARD_NOT_FOUND"},
		"keys unavailable": {withReason(t, codes.Unavailable, "KEYS_UNAVAILABLE"), exitUnavailable, "KEYS_UNAVAILABLE"},
		"unreachable":      {status.Error(codes.Unavailable, "connection refused"), exitUnavailable, "SERVER_UNREACHABLE"},
		"too late":         {status.Error(codes.DeadlineExceeded, "late"), exitUnavailable, "DEADLINE_EXCEEDED"},
		"turned away": {
			status.Error(codes.Unavailable, `connection error: desc = "error reading server preface: remote error: tls: bad certificate"`),
			exitDenied, "NOT_AUTHENTICATED",
		},
		"server of another CA": {
			status.Error(codes.Unavailable, `connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority"`),
			exitFailed, "SERVER_NOT_VERIFIED",
		},
	} {
		got := asExit(c.err)
		if got.code != c.code || got.reason != c.reason {
			t.Errorf("%s: code %d, reason %q", name, got.code, got.reason)
		}
	}
}

// What a person reads begins with what went wrong, not with gRPC's words for it.
func TestServersWordsAreShownBare(t *testing.T) {
	answer := withReason(t, codes.NotFound, "CARD_NOT_FOUND")
	for name, err := range map[string]error{"answer": answer, "of a verb": ranError{answer}} {
		if got := asExit(err).Error(); got != "why" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Every reason that a server can answer has a next step.
func TestEveryReasonHasANextStep(t *testing.T) {
	// A caller cannot meet these through this client.
	never := map[string]bool{
		"BATCH_SIZE": true, "UNKNOWN_FIELD": true, "REQUEST_MALFORMED": true, "TIMESTAMP_INVALID": true, "METHOD_UNKNOWN": true, "CANCELED": true,
	}
	reasons := 0
	for _, file := range []string{"../../vault/errors.go", "../../vault/server/status.go"} {
		for _, reason := range reasonsIn(t, file) {
			reasons++
			if nextSteps[reason] == "" && !never[reason] {
				t.Errorf("%s: %s has no next step", file, reason)
			}
		}
	}
	if reasons < 40 {
		t.Errorf("found %d reasons only", reasons)
	}
}

// reasonsIn returns what a file gives as Reason: "…".
func reasonsIn(t *testing.T, file string) []string {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(tree, func(n ast.Node) bool {
		pair, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		key, isName := pair.Key.(*ast.Ident)
		value, isText := pair.Value.(*ast.BasicLit)
		if isName && isText && strings.EqualFold(key.Name, "reason") {
			reason, err := strconv.Unquote(value.Value)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, reason)
		}
		return true
	})
	return found
}

func TestReport(t *testing.T) {
	e := &exitError{reason: "WHY", next: "do this", err: errors.New("first\x1b[2J\n\n second\tline ")}
	var text, machine bytes.Buffer
	report(&text, e, false)
	if want := "cardvault: first [2J; second line (WHY); do this\n"; text.String() != want {
		t.Errorf("got %q, want %q", text.String(), want)
	}
	report(&machine, e, true)
	var got map[string]string
	if err := json.Unmarshal(machine.Bytes(), &got); err != nil || got["reason"] != "WHY" || got["next"] != "do this" || got["error"] != "first [2J; second line" {
		t.Errorf("got %s, %v", machine.String(), err)
	}
}
