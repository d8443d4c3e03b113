package transit

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/vault/api"

	"github.com/cardvault/cardvault/crypto/envelope"
	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/secret"
)

// keyType is the transit type of the KEK: AES-256-GCM with random nonces.
const keyType = "aes256-gcm96"

// ErrWeakKey is returned by Check if the transit key could be read out, deleted or
// used in another way than for one binding at a time.
var ErrWeakKey = errors.New("transit key is too weak for a KEK")

// Check asks whether the key is there, is strong enough and may be used. Each error
// names what is wrong and the next step. It is ErrWeakKey, keyring.ErrDenied,
// keyring.ErrUnavailable, or the caller's context.
//
// It must pass before the key is trusted: a server without namespaces ignores their
// header, and one that was asked for a key that cannot be exported may have made
// another.
func (k *KEK) Check(ctx context.Context) error {
	properties, err := k.readProperties(ctx)
	if err != nil {
		return err
	}
	if err := properties.weakness(k.mount, k.key); err != nil {
		return err
	}
	if err := k.checkNamespace(ctx); err != nil {
		return err
	}
	return k.checkUse(ctx)
}

// properties are those of a transit key that matter for a KEK. What the server does
// not say stays nil, and counts as the weak answer.
type properties struct {
	Type                 string `json:"type"`
	Derived              *bool  `json:"derived"`
	Exportable           *bool  `json:"exportable"`
	DeletionAllowed      *bool  `json:"deletion_allowed"`
	AllowPlaintextBackup *bool  `json:"allow_plaintext_backup"`
}

func (k *KEK) keyPath() string { return k.mount + "/keys/" + k.key }

func (k *KEK) readProperties(ctx context.Context) (*properties, error) {
	var p *properties
	err := k.session.do(ctx, func(ctx context.Context, client *api.Client) (err error) {
		p, err = readProperties(ctx, client, k.keyPath())
		return err
	})
	if err == nil {
		return p, nil
	}
	step := ""
	if refusedWith(http.StatusNotFound, err) {
		step = fmt.Sprintf(" (check mount %q and key %q, and the namespace; the key is made by: vault write -f %s type=%s derived=true)", k.mount, k.key, k.keyPath(), keyType)
	} else if forbidden(err) {
		step = fmt.Sprintf(" (grant capability \"read\" on %q)", k.keyPath())
	}
	return nil, fmt.Errorf("%w%s", explain(ctx, "read the properties of the key", err), step)
}

func readProperties(ctx context.Context, client *api.Client, path string) (*properties, error) {
	response, err := client.Logical().ReadRawWithContext(ctx, path)
	if response != nil {
		defer response.Body.Close() //nolint:errcheck // it was only read
	}
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data *properties `json:"data"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Data == nil {
		return nil, errAnswer
	}
	return answer.Data, nil
}

// weakness returns an error for each property that a KEK must not have.
func (p *properties) weakness(mount, key string) error {
	var weak []error
	refuse := func(property, next string) {
		weak = append(weak, fmt.Errorf("%w: %s/keys/%s: %s; %s", ErrWeakKey, mount, key, property, next))
	}
	const another = "this cannot be changed: make another key"
	if p.Type != keyType {
		refuse(fmt.Sprintf("type is %q, want %q", p.Type, keyType), another)
	}
	if p.Derived == nil || !*p.Derived {
		refuse("derived is not true", another+" with derived=true")
	}
	if p.Exportable == nil || *p.Exportable {
		refuse("exportable is not false", another+" without exportable")
	}
	if p.AllowPlaintextBackup == nil || *p.AllowPlaintextBackup {
		refuse("allow_plaintext_backup is not false", another+" without allow_plaintext_backup")
	}
	if p.DeletionAllowed == nil || *p.DeletionAllowed {
		refuse("deletion_allowed is not false", fmt.Sprintf("run: vault write %s/keys/%s/config deletion_allowed=false", mount, key))
	}
	return errors.Join(weak...)
}

// checkNamespace proves that the server heeds the namespace: in one that does not
// exist, the key must not be there.
func (k *KEK) checkNamespace(ctx context.Context) error {
	client, err := k.session.client(ctx)
	if err != nil {
		return explain(ctx, "check the namespace", err)
	}
	namespace := client.Namespace()
	if namespace == "" {
		return nil
	}
	nowhere := client.WithNamespace(namespace + "/no-such-" + rand.Text())
	_, err = readProperties(ctx, nowhere, k.keyPath())
	if err = answered(err); err == nil {
		return fmt.Errorf("transit: %w: namespace %q is configured, but the server ignores namespaces: configure none, or a server that has them", keyring.ErrDenied, namespace)
	}
	if err = explain(ctx, "check the namespace", err); !errors.Is(err, keyring.ErrDenied) {
		return err
	}
	return nil
}

// checkUse proves that we may wrap and unwrap, and that the binding binds.
func (k *KEK) checkUse(ctx context.Context) error {
	key := secret.Random(envelope.KeySize)
	defer key.Wipe()
	binding := envelope.Bind("cardvault/check/v1", []byte(rand.Text()))
	wrapped, _, err := k.Wrap(ctx, binding, key)
	if err != nil {
		return fmt.Errorf("%w (needs capability \"update\" on %q)", err, k.mount+"/encrypt/"+k.key)
	}
	back, err := k.Unwrap(ctx, binding, wrapped)
	if err != nil {
		return fmt.Errorf("%w (needs capability \"update\" on %q)", err, k.mount+"/decrypt/"+k.key)
	}
	defer back.Wipe()
	if !back.Equal(key) {
		return fmt.Errorf("transit: %w: a key came back changed", keyring.ErrDenied)
	}
	other, err := k.Unwrap(ctx, envelope.Bind("cardvault/check/v1", nil), wrapped)
	other.Wipe()
	if err == nil {
		return fmt.Errorf("%w: %s: it unwraps under another binding", ErrWeakKey, k.keyPath())
	}
	if !errors.Is(err, keyring.ErrDenied) {
		return err
	}
	return nil
}
