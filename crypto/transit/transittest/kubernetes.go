package transittest

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

const serviceAccountNamespace = "cardvault-test"

// EnableKubernetesAuth makes a role with the given policy alone at auth/kubernetes, bound to a service account of its own. It
// returns the name of the role and the file that holds the account's token, as a pod would find it. The cluster is a
// TokenReview endpoint in the test process, which knows the tokens issued here and no other.
func (s *Server) EnableKubernetesAuth(t testing.TB, policyHCL string) (role, jwtFile string) {
	t.Helper()
	s.enableAuth(t, "kubernetes")
	if s.kubernetes == nil {
		s.kubernetes = s.startTokenReview(t)
	}
	policy := s.policy(t, policyHCL)
	s.write(t, "auth/kubernetes/role/"+policy, map[string]any{
		"bound_service_account_names":      policy,
		"bound_service_account_namespaces": serviceAccountNamespace,
		"token_policies":                   policy,
		"token_no_default_policy":          true,
	})
	jwtFile = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(jwtFile, []byte(s.kubernetes.issue(t, policy)), 0o600); err != nil {
		t.Fatal(err)
	}
	return policy, jwtFile
}

// startTokenReview starts the cluster's API and tells the server of it. Without a reviewer's token of its own, the server
// shows the token under review as its own authorization, as pods with the role system:auth-delegator do.
func (s *Server) startTokenReview(t testing.TB) *tokenReviewAPI {
	t.Helper()
	api := &tokenReviewAPI{accounts: map[string]serviceAccount{}}
	server := httptest.NewTLSServer(api)
	s.cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	s.write(t, "auth/kubernetes/config", map[string]any{
		"kubernetes_host":      server.URL,
		"kubernetes_ca_cert":   string(ca),
		"disable_local_ca_jwt": true,
	})
	return api
}
