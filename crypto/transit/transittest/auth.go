package transittest

import (
	"crypto/rand"
	"strings"
	"testing"

	vaultapi "github.com/hashicorp/vault/api"
)

// EnableAppRole makes a role with the given policy alone at auth/approle, and returns what it logs in with.
func (s *Server) EnableAppRole(t testing.TB, policyHCL string) (roleID, secretID string) {
	t.Helper()
	s.enableAuth(t, "approle")
	policy := s.policy(t, policyHCL)
	role := "auth/approle/role/" + policy
	s.write(t, role, map[string]any{"token_policies": policy, "token_no_default_policy": true})
	id, err := s.Client(t).Logical().ReadWithContext(t.Context(), role+"/role-id")
	if err != nil {
		t.Fatalf("read role id: %v", err)
	}
	return field(t, id, "role_id"), field(t, s.write(t, role+"/secret-id", nil), "secret_id")
}

// EnableCertAuth lets every client certificate that chains to the CA log in at auth/cert with the given policy alone. It
// returns the name of the role.
func (s *Server) EnableCertAuth(t testing.TB, caPEM []byte, policyHCL string) (role string) {
	t.Helper()
	s.enableAuth(t, "cert")
	policy := s.policy(t, policyHCL)
	s.write(t, "auth/cert/certs/"+policy, map[string]any{
		"certificate": string(caPEM), "token_policies": policy, "token_no_default_policy": true,
	})
	return policy
}

// enableAuth mounts an auth method at its usual path, unless an earlier call did.
func (s *Server) enableAuth(t testing.TB, method string) {
	t.Helper()
	mounts, err := s.Client(t).Sys().ListAuthWithContext(t.Context())
	if err != nil {
		t.Fatalf("list auth methods: %v", err)
	}
	if mounts[method+"/"] != nil {
		return
	}
	options := &vaultapi.EnableAuthOptions{Type: method}
	if err := s.Client(t).Sys().EnableAuthWithOptionsWithContext(t.Context(), method, options); err != nil {
		t.Fatalf("enable %s auth: %v", method, err)
	}
}

// policy writes a policy under a new name, which the role that gets it bears too.
func (s *Server) policy(t testing.TB, policyHCL string) (name string) {
	t.Helper()
	name = "test-" + strings.ToLower(rand.Text())
	if err := s.Client(t).Sys().PutPolicyWithContext(t.Context(), name, policyHCL); err != nil {
		t.Fatalf("write policy: %v", err)
	}
	return name
}

func field(t testing.TB, secret *vaultapi.Secret, name string) string {
	t.Helper()
	if secret == nil {
		t.Fatalf("no answer with %s", name)
		return ""
	}
	text, ok := secret.Data[name].(string)
	if !ok {
		t.Fatalf("answer without %s", name)
	}
	return text
}
