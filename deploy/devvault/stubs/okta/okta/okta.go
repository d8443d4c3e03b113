// Package okta stands in for the Okta client, which only Vault's Okta multi-factor login uses. NewClient always fails,
// so the rest is there to compile and is never reached.
package okta

import (
	"context"
	"errors"
)

var errAbsent = errors.New("devvault is built without Okta")

// ConfigSetter is accepted by NewClient and has no effect.
type ConfigSetter func()

// WithToken is accepted and has no effect.
func WithToken(string) ConfigSetter { return func() {} }

// WithOrgUrl is accepted and has no effect.
func WithOrgUrl(string) ConfigSetter { return func() {} }

// WithCache is accepted and has no effect.
func WithCache(bool) ConfigSetter { return func() {} }

// Client cannot be obtained.
type Client struct {
	User       UserResource
	UserFactor UserFactorResource
}

// NewClient refuses.
func NewClient(ctx context.Context, _ ...ConfigSetter) (context.Context, *Client, error) {
	return ctx, nil, errAbsent
}

// CloneRequestExecutor returns an executor that refuses.
func (*Client) CloneRequestExecutor() *RequestExecutor { return &RequestExecutor{} }
