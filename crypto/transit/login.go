package transit

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/auth/approle"
	"github.com/hashicorp/vault/api/auth/kubernetes"
)

// method is a way to log in.
type method struct {
	name string
	// login returns a token in Secret.Auth. The client has none.
	login func(ctx context.Context, client *api.Client) (*api.Secret, error)
	// replaced, if not nil, reports whether token is no longer the one to use.
	replaced func(token string) bool
}

// method returns the one way that a is made for.
func (a *Auth) method() method {
	switch {
	case a.AppRole != nil:
		return method{name: "AppRole", login: a.AppRole.login}
	case a.Kubernetes != nil:
		return method{name: "Kubernetes", login: a.Kubernetes.login}
	case a.TLSCert != nil:
		return method{name: "TLS certificate", login: a.TLSCert.login}
	}
	return method{name: "token file", login: tokenFile(a.TokenFile).login, replaced: tokenFile(a.TokenFile).replaced}
}

func (a *AppRole) login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	role, err := approle.NewAppRoleAuth(a.RoleID, &approle.SecretID{FromFile: a.SecretIDFile}, approle.WithMountPath(a.Mount))
	if err != nil {
		return nil, err
	}
	return role.Login(ctx, client)
}

func (k *Kubernetes) login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	jwt, err := readCredential(k.JWTFile)
	if err != nil {
		return nil, err
	}
	account, err := kubernetes.NewKubernetesAuth(k.Role, kubernetes.WithServiceAccountToken(jwt), kubernetes.WithMountPath(k.Mount))
	if err != nil {
		return nil, err
	}
	return account.Login(ctx, client)
}

func (t *TLSCert) login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	data := map[string]any{}
	if t.Role != "" {
		data["name"] = t.Role
	}
	return client.Logical().WriteWithContext(ctx, "auth/"+t.Mount+"/login", data)
}

// tokenFile is the path of a file that holds a token.
type tokenFile string

// login takes the token of the file, and asks the server how long it lives.
func (f tokenFile) login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	token, err := readCredential(string(f))
	if err != nil {
		return nil, err
	}
	auth := &api.SecretAuth{ClientToken: token}
	client = withToken(client, token)
	self, err := client.Auth().Token().LookupSelfWithContext(ctx)
	switch err = answered(err); {
	case forbidden(err):
		// It may lack the right to look at itself. Then whoever wrote the file renews it.
	case err != nil:
		return nil, err
	default:
		if err := readLife(self, auth); err != nil {
			return nil, err
		}
	}
	return &api.Secret{Auth: auth}, nil
}

// readLife takes the life of a token from what the server says of it.
func readLife(self *api.Secret, auth *api.SecretAuth) error {
	ttl, err := self.TokenTTL()
	if err != nil {
		return err
	}
	auth.LeaseDuration = int(ttl.Seconds())
	auth.Renewable, err = self.TokenIsRenewable()
	return err
}

// replaced reports whether the file holds another token now. A file that cannot be
// read, perhaps since it is just being replaced, proves nothing.
func (f tokenFile) replaced(token string) bool {
	current, err := readCredential(string(f))
	return err == nil && current != token
}

// readCredential returns what a file holds, without the white space around it.
func readCredential(file string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	credential := strings.TrimSpace(string(content))
	if credential == "" {
		return "", fmt.Errorf("%s is empty", file)
	}
	return credential, nil
}

// withToken returns a copy of client that uses token.
func withToken(client *api.Client, token string) *api.Client {
	own := client.WithNamespace(client.Namespace())
	own.SetToken(token)
	return own
}
