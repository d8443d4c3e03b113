package transit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/cardvault/cardvault/crypto/keyring"
)

// answerError is what the server answered instead of doing it.
type answerError struct {
	status   int
	messages []string // nil: it was not the server that answered, by the form of it
}

func (e *answerError) Error() string {
	if e.messages == nil {
		return fmt.Sprintf("HTTP %d, not in the server's form", e.status)
	}
	// Vault lays its messages out over several lines.
	return fmt.Sprintf("HTTP %d: %s", e.status, strings.Join(strings.Fields(strings.Join(e.messages, "; ")), " "))
}

// definite reports whether the answer is the server's no.
func (e *answerError) definite() bool {
	switch e.status {
	case http.StatusRequestTimeout, http.StatusPreconditionFailed, http.StatusTooEarly, http.StatusTooManyRequests:
		return false // come again later: timed out, replica behind, replayed, quota
	}
	return e.messages != nil && e.status >= 400 && e.status < 500
}

// answered replaces the client's error for an answer, which prints the body of
// whatever answered, by one that shows the server's own messages and no others.
func answered(err error) error {
	var response *api.ResponseError
	if !errors.As(err, &response) {
		return err
	}
	answer := &answerError{status: response.StatusCode}
	if !response.RawError {
		answer.messages = response.Errors
	}
	return answer
}

// explain gives the error of a call one of the meanings that keyring.KEK knows.
func explain(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("transit: %s: %w", doing, ctx.Err())
	}
	meaning := keyring.ErrUnavailable
	var answer *answerError
	if errors.As(err, &answer) && answer.definite() {
		meaning = keyring.ErrDenied
	}
	return fmt.Errorf("transit: %s: %w: %w", doing, meaning, err)
}

// refusedWith reports whether the server itself gave a no of this status.
func refusedWith(status int, err error) bool {
	var answer *answerError
	return errors.As(err, &answer) && answer.status == status && answer.definite()
}

// forbidden reports whether the server said that this token may not do this, or is
// no token.
func forbidden(err error) bool { return refusedWith(http.StatusForbidden, err) }
