package okta

import (
	"context"
	"net/http"

	"github.com/okta/okta-sdk-golang/v2/okta/query"
)

// Response is an answer that never comes.
type Response struct{}

// User is one account.
type User struct{ Id string }

// UserResource lists no users.
type UserResource struct{}

// ListUsers refuses.
func (UserResource) ListUsers(context.Context, *query.Params) ([]*User, *Response, error) {
	return nil, nil, errAbsent
}

// Factor is one second factor of a user.
type Factor interface{ IsUserFactorInstance() bool }

// UserFactor is the one kind of Factor that Vault looks for.
type UserFactor struct{ Id, FactorType string }

// IsUserFactorInstance reports true.
func (*UserFactor) IsUserFactorInstance() bool { return true }

// VerifyFactorRequest is empty.
type VerifyFactorRequest struct{}

// VerifyUserFactorResponse tells how far a verification is.
type VerifyUserFactorResponse struct {
	FactorResult string
	Links        any
}

// UserFactorResource lists and verifies nothing.
type UserFactorResource struct{}

// ListFactors refuses.
func (UserFactorResource) ListFactors(context.Context, string) ([]Factor, *Response, error) {
	return nil, nil, errAbsent
}

// VerifyFactor refuses.
func (UserFactorResource) VerifyFactor(
	context.Context, string, string, VerifyFactorRequest, Factor, *query.Params,
) (*VerifyUserFactorResponse, *Response, error) {
	return nil, nil, errAbsent
}

// RequestExecutor executes nothing.
type RequestExecutor struct{}

// WithAccept returns e.
func (e *RequestExecutor) WithAccept(string) *RequestExecutor { return e }

// WithContentType returns e.
func (e *RequestExecutor) WithContentType(string) *RequestExecutor { return e }

// NewRequest refuses.
func (*RequestExecutor) NewRequest(string, string, any) (*http.Request, error) { return nil, errAbsent }

// Do refuses.
func (*RequestExecutor) Do(context.Context, *http.Request, any) (*Response, error) {
	return nil, errAbsent
}
