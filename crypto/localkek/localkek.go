// Package localkek is a key-encryption key in a file. It is NOT FOR PRODUCTION:
// whoever can read the file and a copy of the store has every key. It lets a
// laptop run without a server for keys.
//
// The file holds one line that says so and one with the key, and is readable by
// its owner alone; a file that others can read is refused. It is made once, whole
// or not at all, and never written again.
package localkek

import (
	"context"
	"fmt"

	"github.com/cardvault/cardvault/crypto/envelope"
	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/secret"
)

// Kind is the kind of this KEK.
const Kind = "local"

// version is the only version there is: a local KEK is not rotated.
const version = "1"

// KEK wraps keys by AES-256-GCM under the key of its file, with the binding as
// associated data.
type KEK struct {
	key *envelope.Key
}

var _ keyring.KEK = (*KEK)(nil)

var errNoBinding = fmt.Errorf("localkek: %w: no binding", keyring.ErrDenied)

func newKEK(raw secret.Bytes) (*KEK, error) {
	defer raw.Wipe()
	key, err := envelope.NewKey(raw)
	if err != nil {
		return nil, fmt.Errorf("localkek: %w", err)
	}
	return &KEK{key: key}, nil
}

// Kind returns "local".
func (*KEK) Kind() string { return Kind }

// Wrap implements keyring.KEK.
func (k *KEK) Wrap(ctx context.Context, binding []byte, key secret.Bytes) (wrapped []byte, kekVersion string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, "", fmt.Errorf("localkek: %w", err)
	}
	if len(binding) == 0 {
		return nil, "", errNoBinding
	}
	wrapped, err = k.key.Seal(key.Reveal(), binding)
	if err != nil {
		return nil, "", fmt.Errorf("localkek: %w: %w", keyring.ErrDenied, err)
	}
	return wrapped, version, nil
}

// Unwrap implements keyring.KEK.
func (k *KEK) Unwrap(ctx context.Context, binding, wrapped []byte) (secret.Bytes, error) {
	if err := ctx.Err(); err != nil {
		return secret.Bytes{}, fmt.Errorf("localkek: %w", err)
	}
	if len(binding) == 0 {
		return secret.Bytes{}, errNoBinding
	}
	key, err := k.key.Open(wrapped, binding)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("localkek: %w: %w", keyring.ErrDenied, err)
	}
	return secret.New(key), nil
}
