// Package awskms stands in for auto-unseal with AWS KMS.
package awskms

import (
	"context"
	"errors"

	"github.com/hashicorp/go-hclog"
	wrapping "github.com/hashicorp/go-kms-wrapping/v2"
)

// Wrapper cannot be configured, and Vault calls nothing else on a wrapper whose configuration failed: the embedded
// interface stays nil and only gives it the method set.
type Wrapper struct{ wrapping.Wrapper }

// NewWrapper returns a wrapper that refuses its configuration.
func NewWrapper() *Wrapper { return &Wrapper{} }

// SetConfig refuses.
func (*Wrapper) SetConfig(context.Context, ...wrapping.Option) (*wrapping.WrapperConfig, error) {
	return nil, errors.New("devvault is built without AWS KMS")
}

// WithLogger is accepted and has no effect. Vault passes it to the Shamir wrapper too, which skips options that are nil.
func WithLogger(hclog.Logger) wrapping.Option { return nil }
