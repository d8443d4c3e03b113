package main

import (
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
)

// write carries the request id that makes a write repeatable.
type write struct{ requestID string }

// register adds --request-id.
func (w *write) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&w.requestID, "request-id", "", "UUID of this write; the same id and content give the first answer again (default: a new one)")
}

// id returns the request id of this run.
func (w *write) id() string {
	if w.requestID == "" {
		w.requestID = uuid.NewString()
	}
	return w.requestID
}

// hint adds to an error of unknown outcome how to repeat the same write.
func (w *write) hint(err error) error {
	if err == nil {
		return nil
	}
	told := *asExit(err)
	if told.code == exitUnavailable {
		told.next = strings.TrimPrefix(told.next+"; ", "; ") + "repeat with --request-id " + w.id() + " to do it once only"
	}
	return &told
}
