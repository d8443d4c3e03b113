package transit_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	vaultapi "github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/auth/approle"
)

// The policy of deploy/transit is enough by itself, and grants no more than it says.
func TestInstalledPolicy(t *testing.T) {
	server := startWithBothKeys(t)
	server.CreateKey(t, "transit", "other", map[string]any{"type": "aes256-gcm96", "derived": true})
	server.CreateSigningKey(t, "transit", "signing")
	roleID, secretID := server.EnableAppRole(t, leastPrivilege(t))
	client := server.Client(t)
	client.ClearToken()
	method, err := approle.NewAppRoleAuth(roleID, &approle.SecretID{FromString: secretID})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Auth().Login(t.Context(), method); err != nil {
		t.Fatal(err)
	}

	kek := open(t, server, appRole(t, server, leastPrivilege(t)))
	if err := kek.Check(t.Context()); err != nil {
		t.Errorf("the KEK: %v", err)
	}
	if s, _ := signer(t, kek); s.Check(t.Context()) != nil {
		t.Errorf("the signer: %v", s.Check(t.Context()))
	}
	for _, request := range []string{"read auth/token/lookup-self", "write auth/token/renew-self"} {
		if err := ask(t.Context(), client, request); err != nil {
			t.Errorf("%s: %v", request, err)
		}
	}
	for _, request := range []string{
		"write transit/encrypt/other", "write transit/decrypt/other", "read transit/keys/other", "list transit/keys",
		"write transit/keys/new", "write transit/keys/kek", "write transit/keys/kek/rotate", "write transit/keys/kek/config",
		"write transit/keys/kek/trim", "delete transit/keys/kek", "read transit/export/encryption-key/kek", "read transit/backup/kek",
		"write transit/restore/kek", "write transit/rewrap/kek", "write transit/datakey/plaintext/kek", "write transit/hmac/kek",
		"write transit/sign/signing", "read transit/keys/signing", "write transit/sign/kek", "write transit/sign/audit/sha2-256",
		"write transit/verify/audit", "write transit/hmac/audit", "write transit/encrypt/audit", "write transit/keys/audit",
		"write transit/keys/audit/rotate", "write transit/keys/audit/config", "write transit/keys/audit/trim", "delete transit/keys/audit",
		"read transit/export/signing-key/audit", "read transit/backup/audit", "write transit/restore/audit",
		"read transit/cache-config", "write auth/token/create", "write auth/token/revoke-self", "read auth/approle/role/cardvault",
		"list sys/policies/acl", "read sys/mounts", "write sys/rotate", "read cubbyhole/kek", "write sys/wrapping/wrap",
	} {
		var answer *vaultapi.ResponseError
		if err := ask(t.Context(), client, request); !errors.As(err, &answer) || answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %v; want 403", request, err)
		}
	}
}

// ask makes a request that is written as its operation and path.
func ask(ctx context.Context, client *vaultapi.Client, request string) error {
	operation, path, _ := strings.Cut(request, " ")
	var err error
	switch logical := client.Logical(); operation {
	case "read":
		_, err = logical.ReadWithContext(ctx, path)
	case "list":
		_, err = logical.ListWithContext(ctx, path)
	case "delete":
		_, err = logical.DeleteWithContext(ctx, path)
	default:
		_, err = logical.WriteWithContext(ctx, path, map[string]any{})
	}
	return err
}
