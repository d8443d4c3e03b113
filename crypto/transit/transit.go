// Package transit is the key-encryption key in production: a key of HashiCorp
// Vault's transit engine, or of OpenBao's. It never leaves the server; keys to be
// wrapped and unwrapped go there over TLS.
//
// The key is derived: transit makes a key of its own for each context, and the
// binding of a wrapped key is that context. Transit's associated data would not do,
// since its rewrap cannot take any.
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
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/secret"
)

// Kind is the kind of this KEK.
const Kind = "transit"

// KEK is a transit key. Make it with New and Close it.
type KEK struct {
	session   *session
	transport *http.Transport
	mount     string
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
	return &KEK{session: newSession(client, cfg.Auth.method()), transport: transport, mount: cfg.Mount, key: cfg.Key}, nil
}

// Close ends the renewal of the token and closes the connections. Later calls fail.
func (k *KEK) Close() {
	k.session.close()
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
	text, err := k.write(ctx, "encrypt", "ciphertext", map[string]any{
		"plaintext": base64.StdEncoding.EncodeToString(key.Reveal()),
		"context":   base64.StdEncoding.EncodeToString(binding),
	})
	if err != nil {
		return nil, "", explain(ctx, "wrap", err)
	}
	version, ok := versionOf(text)
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
	if _, ok := versionOf(string(wrapped)); !ok {
		return secret.Bytes{}, fmt.Errorf("transit: unwrap: %w: not wrapped by transit", keyring.ErrDenied)
	}
	text, err := k.write(ctx, "decrypt", "plaintext", map[string]any{
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

// errAnswer is the cause when an answer of 200 is not what transit answers.
var errAnswer = errors.New("answer is not in transit's form")

// write calls an operation on the key and returns one field of the answer.
func (k *KEK) write(ctx context.Context, operation, field string, data map[string]any) (string, error) {
	var text string
	err := k.session.do(ctx, func(ctx context.Context, client *api.Client) error {
		answer, err := client.Logical().WriteWithContext(ctx, k.mount+"/"+operation+"/"+k.key, data)
		if err != nil {
			return err
		}
		if answer == nil {
			return errAnswer
		}
		var ok bool
		if text, ok = answer.Data[field].(string); !ok {
			return errAnswer
		}
		return nil
	})
	return text, err
}

// versionOf returns the key version N in transit's form of a ciphertext,
// "vault:vN:" and base64.
func versionOf(wrapped string) (version string, ok bool) {
	rest, ok := strings.CutPrefix(wrapped, "vault:v")
	if !ok {
		return "", false
	}
	version, body, ok := strings.Cut(rest, ":")
	if n, err := strconv.ParseUint(version, 10, 32); err != nil || n == 0 || !ok || body == "" {
		return "", false
	}
	return version, true
}
