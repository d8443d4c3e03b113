package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

var errAsynchronous = errors.New("postgres: synchronous_commit is off, so a crash would lose acknowledged cards: " +
	"set it to on for this role or database")

// ServerError is what the server answered to a statement. PostgreSQL's message and
// detail can hold values of the row at fault, so neither is kept.
type ServerError struct {
	Code       string // SQLSTATE
	Constraint string // empty where none was violated
}

// Error implements error.
func (e *ServerError) Error() string {
	text := "postgres: the server refused a statement, SQLSTATE " + e.Code
	if meaning := e.meaning(); meaning != "" {
		text += " (" + meaning + ")"
	}
	if e.Constraint != "" {
		text += ", constraint " + e.Constraint
	}
	return text
}

// meaning returns what an operator can act on in words.
func (e *ServerError) meaning() string {
	switch e.Code {
	case "25006":
		return "the server is read-only"
	case "42501":
		return "this role may not do that; `cardvault migrate` as the owner gives it its rights"
	case "53100":
		return "the disk is full"
	case "53300":
		return "too many connections"
	case codeQueryCanceled:
		return "canceled, perhaps by a timeout"
	default:
		return ""
	}
}

// SQLSTATE codes, PostgreSQL documentation, appendix A.
const (
	codeUnknownCompletion    = "40003"
	codeSerializationFailure = "40001"
	codeDeadlock             = "40P01"
	codeUniqueViolation      = "23505"
	codeUndefinedTable       = "42P01"
	codeQueryCanceled        = "57014"
	classConnection          = "08"
)

// errLost: the connection broke, so what was sent on it may or may not have been
// done. What ran in a transaction that was not being committed was not.
var errLost = errors.New("connection lost")

// failure makes an error fit to be shown: it keeps what says how the connection
// failed, and drops every text in which pgx or the server could quote a value.
func failure(err error) error {
	if err == nil {
		return nil
	}
	if connect, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return connect // names host, user and database; no statement was sent
	}
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		return serverFailure(server)
	}
	switch {
	case pgconn.SafeToRetry(err):
		return fmt.Errorf("postgres: nothing was sent: %w", err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), isNetwork(err):
		return fmt.Errorf("postgres: %w: %w", errLost, err)
	default:
		return fmt.Errorf("postgres: unexpected %T", err)
	}
}

func serverFailure(err *pgconn.PgError) error {
	server := &ServerError{Code: err.Code, Constraint: err.ConstraintName}
	// FATAL and PANIC end the session, at whatever point it was.
	if err.SeverityUnlocalized != "ERROR" || err.Code == codeUnknownCompletion || strings.HasPrefix(err.Code, classConnection) {
		return fmt.Errorf("postgres: %w: %w", errLost, server)
	}
	return server
}

func isNetwork(err error) bool {
	_, ok := errors.AsType[net.Error](err)
	return ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

func hasCode(err error, code string) bool {
	server, ok := errors.AsType[*ServerError](err)
	return ok && server.Code == code
}

func violates(err error, constraint string) bool {
	server, ok := errors.AsType[*ServerError](err)
	return ok && server.Code == codeUniqueViolation && server.Constraint == constraint
}
