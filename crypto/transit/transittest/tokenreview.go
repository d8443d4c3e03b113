package transittest

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
)

// serviceAccount is whom a token speaks for.
type serviceAccount struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// tokenReviewAPI is the one endpoint of a Kubernetes API server that login needs: TokenReview of
// authentication.k8s.io/v1.
type tokenReviewAPI struct {
	mu       sync.Mutex
	accounts map[string]serviceAccount // by token
}

// issue makes a token for a new service account.
func (a *tokenReviewAPI) issue(t testing.TB, name string) string {
	t.Helper()
	account := serviceAccount{Name: name, UID: rand.Text()}
	token := serviceAccountToken(t, account)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.accounts[token] = account
	return token
}

func (a *tokenReviewAPI) lookup(token string) (serviceAccount, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	account, ok := a.accounts[token]
	return account, ok
}

// ServeHTTP answers whose token it is, if anybody's.
func (a *tokenReviewAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/apis/authentication.k8s.io/v1/tokenreviews" {
		http.NotFound(w, r)
		return
	}
	var review tokenReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if account, ok := a.lookup(review.Spec.Token); ok {
		review.Status.Authenticated = true
		review.Status.User.Username = "system:serviceaccount:" + serviceAccountNamespace + ":" + account.Name
		review.Status.User.UID = account.UID
		review.Status.Audiences = review.Spec.Audiences
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(review) // a caller that has gone needs no answer
}

// tokenReview is authentication.k8s.io/v1 TokenReview, as far as login reads it.
type tokenReview struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Spec       struct {
		Token     string   `json:"token"`
		Audiences []string `json:"audiences,omitempty"`
	} `json:"spec"`
	Status struct {
		Authenticated bool `json:"authenticated"`
		User          struct {
			Username string `json:"username"`
			UID      string `json:"uid"`
		} `json:"user"`
		Audiences []string `json:"audiences,omitempty"`
	} `json:"status"`
}
