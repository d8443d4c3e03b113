// Package alicloudkms stands in for auto-unseal with Alibaba Cloud KMS.
package alicloudkms

import (
	"context"
	"errors"

	wrapping "github.com/hashicorp/go-kms-wrapping/v2"
)

// Wrapper cannot be configured, and Vault calls nothing else on a wrapper whose configuration failed: the embedded
// interface stays nil and only gives it the method set.
type Wrapper struct{ wrapping.Wrapper }

// NewWrapper returns a wrapper that refuses its configuration.
func NewWrapper() *Wrapper { return &Wrapper{} }

// SetConfig refuses.
func (*Wrapper) SetConfig(context.Context, ...wrapping.Option) (*wrapping.WrapperConfig, error) {
	return nil, errors.New("devvault is built without Alibaba Cloud KMS")
}
