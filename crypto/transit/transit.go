// Package transit keeps the keys of production in HashiCorp Vault's transit engine,
// or OpenBao's: the key-encryption key, and the key that signs the checkpoints of the
// audit log. They never leave the server; what they are for goes there over TLS.
//
// The key-encryption key is derived: transit makes a key of its own for each context,
// and the binding of a wrapped key is that context. Transit's associated data would
// not do, since its rewrap cannot take any.
//
// The Signer's key is Ed25519. For a while after a rotation the version before signs
// too, so that nobody has to learn of the new one at the same moment.
//
// What a caller can rely on:
//
//   - Every error is keyring.ErrDenied, keyring.ErrUnavailable or the caller's
//     context. Denied is the word of the server itself: 4xx with an answer in its
//     own form. Sealed, down, overloaded, timed out or answered by something else on
//     the way is unavailable.
//   - A call takes bounded time, and a token that expired or was revoked costs one
//     login, not a failed call.
//   - No key, token or credential is in an error. Bodies that are not the server's
//     own errors are not shown, since a proxy may echo what it was sent.
//   - Nothing is taken from VAULT_* environment variables.
package transit

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/secret"
)

// Kind is the kind of this KEK.
const Kind = "transit"

// KEK is a transit key. Make it with New and Close it.
type KEK struct {
	engine    *engine
	transport *http.Transport
	key       string
}

var _ keyring.KEK = (*KEK)(nil)

// New returns the KEK that cfg names. It reads the files of cfg but does not call
// the server: the first call logs in. Call Check before trusting the key.
func New(cfg Config) (*KEK, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	transport, err := newTransport(&cfg)
	if err != nil {
		return nil, err
	}
	client, err := newClient(&cfg, transport)
	if err != nil {
		return nil, err
	}
	e := &engine{session: newSession(client, cfg.Auth.method()), mount: cfg.Mount}
	return &KEK{engine: e, transport: transport, key: cfg.Key}, nil
}

// Close ends the renewal of the token and closes the connections. Later calls fail,
// those of its Signers too.
func (k *KEK) Close() {
	k.engine.session.close()
	k.transport.CloseIdleConnections()
}

// Kind returns "transit".
func (*KEK) Kind() string { return Kind }

// Wrap implements keyring.KEK. The wrapped bytes are transit's own form,
// "vault:v3:…", and the version is the number in it.
func (k *KEK) Wrap(ctx context.Context, binding []byte, key secret.Bytes) (wrapped []byte, version string, err error) {
	if len(binding) == 0 {
		return nil, "", fmt.Errorf("transit: wrap: %w: no binding", keyring.ErrDenied)
	}
	text, err := k.engine.write(ctx, "encrypt", k.key, "ciphertext", map[string]any{
		"plaintext": base64.StdEncoding.EncodeToString(key.Reveal()),
		"context":   base64.StdEncoding.EncodeToString(binding),
	})
	if err != nil {
		return nil, "", explain(ctx, "wrap", err)
	}
	version, _, ok := versionOf(text)
	if !ok {
		return nil, "", explain(ctx, "wrap", errAnswer)
	}
	return []byte(text), version, nil
}

// Unwrap implements keyring.KEK.
func (k *KEK) Unwrap(ctx context.Context, binding, wrapped []byte) (secret.Bytes, error) {
	if len(binding) == 0 {
		return secret.Bytes{}, fmt.Errorf("transit: unwrap: %w: no binding", keyring.ErrDenied)
	}
	if _, _, ok := versionOf(string(wrapped)); !ok {
		return secret.Bytes{}, fmt.Errorf("transit: unwrap: %w: not wrapped by transit", keyring.ErrDenied)
	}
	text, err := k.engine.write(ctx, "decrypt", k.key, "plaintext", map[string]any{
		"ciphertext": string(wrapped),
		"context":    base64.StdEncoding.EncodeToString(binding),
	})
	if err != nil {
		return secret.Bytes{}, explain(ctx, "unwrap", err)
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) == 0 {
		return secret.Bytes{}, explain(ctx, "unwrap", errAnswer) // no cause: it would quote the key
	}
	return secret.New(key), nil
}
