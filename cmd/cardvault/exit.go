package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/status"
)

// exitCode is what the process ends with, for scripts to switch on. The numbers
// are part of the interface: `cardvault help exit-codes` lists them.
type exitCode int

const (
	exitOK exitCode = iota
	exitFailed
	exitUsage
	exitDenied
	exitNotFound
	exitUnavailable
	exitSomeRefused
)

// exitError is an error as its user meets it: what went wrong, a stable reason
// where there is one, and what to do next.
type exitError struct {
	code   exitCode
	reason string
	next   string
	err    error
}

// Error returns what went wrong, without reason and next step.
func (e *exitError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *exitError) Unwrap() error { return e.err }

// usage is an error of the command line: nothing was done.
func usage(next, format string, args ...any) error {
	return &exitError{code: exitUsage, next: next, err: fmt.Errorf(format, args...)}
}

// failed is an error of the command's work.
func failed(next, format string, args ...any) error {
	return &exitError{code: exitFailed, next: next, err: fmt.Errorf(format, args...)}
}

// ranError marks what a command's own work returned. Every other error comes
// from the command tree and is one of usage.
type ranError struct{ err error }

func (e ranError) Error() string { return e.err.Error() }
func (e ranError) Unwrap() error { return e.err }

// markRan has the whole tree mark its errors.
func markRan(cmd *cobra.Command) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if err := run(cmd, args); err != nil {
				return ranError{err}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		markRan(sub)
	}
}

// asExit gives any error of the command tree its exit code, reason and next step.
func asExit(err error) *exitError {
	if told, ok := errors.AsType[*exitError](err); ok {
		return told
	}
	ran, worked := errors.AsType[ranError](err)
	if worked {
		err = ran.err
	}
	if _, ok := status.FromError(err); ok {
		return fromStatus(err)
	}
	if worked {
		return &exitError{code: exitFailed, err: err}
	}
	return &exitError{code: exitUsage, err: err}
}

// exitCodesTopic is `cardvault help exit-codes`.
func exitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean",
		Long: `What the exit codes mean

  0  done
  1  refused, or failed: the last line on standard error says why
  2  usage: the command line, the configuration or the input's form is wrong; nothing was done
  3  denied: no or no valid certificate, or policy does not allow it
  4  not found: no such card, token or BIN range, as far as this caller may know
  5  unavailable: the server, its store or its keys cannot be reached; try again
  6  some lines of an import were refused; the others were taken in

Of cardvault audit verify, the lowest that applies:

  10  the log did not sign the checkpoint
  11  the tree is not the one that was signed, or files are missing or too many
  12  entries were edited, left out or put elsewhere, or their times run backwards
  13  an entry holds a card number
  14  the log does not begin with what it was at --since
  15  too few witnesses cosigned

The last line on standard error is: what went wrong (REASON); what to do next.
The reason is stable: it is the one that the server answers in google.rpc.ErrorInfo.
With --output json the line is a JSON object with the keys error, reason and next.`,
	}
}
