package main

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// fromStatus reads what a server answered, or why it could not be asked.
func fromStatus(err error) *exitError {
	st := status.Convert(err)
	if alert, ok := tlsAlert(st); ok {
		return &exitError{
			code: exitDenied, reason: "NOT_AUTHENTICATED", next: nextSteps["NOT_AUTHENTICATED"],
			err: fmt.Errorf("the server did not accept the client's certificate (%s)", alert),
		}
	}
	if why, ok := unverified(st); ok {
		return &exitError{
			code: exitFailed, reason: "SERVER_NOT_VERIFIED", next: nextSteps["SERVER_NOT_VERIFIED"],
			err: fmt.Errorf("the server's certificate does not hold: %s", why),
		}
	}
	reason := reasonOf(st)
	return &exitError{code: codeOf(st.Code()), reason: reason, next: nextSteps[reason], err: errors.New(st.Message())}
}

// tlsAlert finds the alert with which a server ended the handshake. gRPC hands it
// on as text alone.
func tlsAlert(st *status.Status) (string, bool) {
	const remote = "remote error: tls: "
	_, alert, found := strings.Cut(st.Message(), remote)
	alert, _, _ = strings.Cut(alert, `"`)
	return alert, found && st.Code() == codes.Unavailable
}

// unverified finds why this client did not accept the server's certificate. gRPC
// calls that Unavailable, but trying again does not help.
func unverified(st *status.Status) (string, bool) {
	_, why, found := strings.Cut(st.Message(), "tls: failed to verify certificate: ")
	return strings.TrimSuffix(why, `"`), found && st.Code() == codes.Unavailable
}

// reasonOf returns the stable reason of a status: the server's own, or else the
// name of the gRPC code.
func reasonOf(st *status.Status) string {
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	switch st.Code() {
	case codes.Unavailable:
		return "SERVER_UNREACHABLE"
	case codes.DeadlineExceeded:
		return "DEADLINE_EXCEEDED"
	default:
		return strings.ToUpper(st.Code().String())
	}
}

// codeOf sorts a gRPC code.
func codeOf(c codes.Code) exitCode {
	switch c {
	case codes.OK:
		return exitOK
	case codes.PermissionDenied, codes.Unauthenticated:
		return exitDenied
	case codes.NotFound:
		return exitNotFound
	case codes.Unavailable, codes.DeadlineExceeded:
		return exitUnavailable
	default:
		return exitFailed
	}
}
