package transit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/cardvault/cardvault/crypto/envelope"
	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/secret"
)

// keyType is the transit type of the KEK: AES-256-GCM with random nonces.
const keyType = "aes256-gcm96"

// Check asks whether the key is there, is strong enough and may be used. Each error
// names what is wrong and the next step. It is ErrWeakKey, keyring.ErrDenied,
// keyring.ErrUnavailable, or the caller's context.
//
// It must pass before the key is trusted: a server without namespaces ignores their
// header, and one that was asked for a key that cannot be exported may have made
// another.
func (k *KEK) Check(ctx context.Context) error {
	properties, err := k.engine.properties(ctx, k.key, "type="+keyType+" derived=true")
	if err != nil {
		return err
	}
	if err := properties.weakness(k.engine.keyPath(k.key), keyType, true); err != nil {
		return err
	}
	if err := k.engine.checkNamespace(ctx, k.key); err != nil {
		return err
	}
	return k.checkUse(ctx)
}

// checkUse proves that we may wrap and unwrap, and that the binding binds.
func (k *KEK) checkUse(ctx context.Context) error {
	key := secret.Random(envelope.KeySize)
	defer key.Wipe()
	binding := envelope.Bind("cardvault/check/v1", []byte(rand.Text()))
	wrapped, _, err := k.Wrap(ctx, binding, key)
	if err != nil {
		return fmt.Errorf("%w (needs capability \"update\" on %q)", err, k.engine.mount+"/encrypt/"+k.key)
	}
	back, err := k.Unwrap(ctx, binding, wrapped)
	if err != nil {
		return fmt.Errorf("%w (needs capability \"update\" on %q)", err, k.engine.mount+"/decrypt/"+k.key)
	}
	defer back.Wipe()
	if !back.Equal(key) {
		return fmt.Errorf("transit: %w: a key came back changed", keyring.ErrDenied)
	}
	other, err := k.Unwrap(ctx, envelope.Bind("cardvault/check/v1", nil), wrapped)
	other.Wipe()
	if err == nil {
		return fmt.Errorf("%w: %s: it unwraps under another binding", ErrWeakKey, k.engine.keyPath(k.key))
	}
	if !errors.Is(err, keyring.ErrDenied) {
		return err
	}
	return nil
}
