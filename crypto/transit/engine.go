package transit

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/cardvault/cardvault/crypto/keyring"
)

// engine is the transit engine that we are logged in to.
type engine struct {
	session *session
	mount   string
}

// errAnswer is the cause when an answer of 200 is not what transit answers.
var errAnswer = errors.New("answer is not in transit's form")

// write calls an operation on a key and returns one field of the answer.
func (e *engine) write(ctx context.Context, operation, key, field string, data map[string]any) (string, error) {
	var text string
	err := e.session.do(ctx, func(ctx context.Context, client *api.Client) error {
		answer, err := client.Logical().WriteWithContext(ctx, e.mount+"/"+operation+"/"+key, data)
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

func (e *engine) keyPath(key string) string { return e.mount + "/keys/" + key }

// properties returns those of a key that is made by `vault write -f` with these
// options.
func (e *engine) properties(ctx context.Context, key, options string) (*properties, error) {
	var p *properties
	path := e.keyPath(key)
	err := e.session.do(ctx, func(ctx context.Context, client *api.Client) (err error) {
		p, err = readProperties(ctx, client, path)
		return err
	})
	if err == nil {
		return p, nil
	}
	step := ""
	if refusedWith(http.StatusNotFound, err) {
		step = fmt.Sprintf(" (check mount %q and key %q, and the namespace; the key is made by: vault write -f %s %s)", e.mount, key, path, options)
	} else if forbidden(err) {
		step = fmt.Sprintf(" (grant capability \"read\" on %q)", path)
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

// checkNamespace proves that the server heeds the namespace: in one that does not
// exist, the key must not be there.
func (e *engine) checkNamespace(ctx context.Context, key string) error {
	client, err := e.session.client(ctx)
	if err != nil {
		return explain(ctx, "check the namespace", err)
	}
	namespace := client.Namespace()
	if namespace == "" {
		return nil
	}
	nowhere := client.WithNamespace(namespace + "/no-such-" + rand.Text())
	_, err = readProperties(ctx, nowhere, e.keyPath(key))
	if err = answered(err); err == nil {
		return fmt.Errorf("transit: %w: namespace %q is configured, but the server ignores namespaces: configure none, or a server that has them", keyring.ErrDenied, namespace)
	}
	if err = explain(ctx, "check the namespace", err); !errors.Is(err, keyring.ErrDenied) {
		return err
	}
	return nil
}

// versionOf returns the key version N in transit's form of a ciphertext or
// signature, "vault:vN:" and base64, and what follows it.
func versionOf(text string) (version, body string, ok bool) {
	rest, ok := strings.CutPrefix(text, "vault:v")
	if !ok {
		return "", "", false
	}
	version, body, ok = strings.Cut(rest, ":")
	if n, err := strconv.ParseUint(version, 10, 32); err != nil || n == 0 || !ok || body == "" {
		return "", "", false
	}
	return version, body, true
}
