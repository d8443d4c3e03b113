package transittest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"testing"
)

// serviceAccountToken makes a token as Kubernetes projects it into a pod: a JWT (RFC 7519) signed with ES256. It has no
// expiry. Nobody keeps the key: who may log in is for the TokenReview to say.
func serviceAccountToken(t testing.TB, account serviceAccount) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signed := segment(t, map[string]any{"alg": "ES256", "typ": "JWT"}) + "." + segment(t, map[string]any{
		"iss": "https://kubernetes.default.svc.cluster.local",
		"sub": "system:serviceaccount:" + serviceAccountNamespace + ":" + account.Name,
		"aud": []string{"https://kubernetes.default.svc.cluster.local"},
		"kubernetes.io": map[string]any{
			"namespace":      serviceAccountNamespace,
			"serviceaccount": account,
		},
	})
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	// RFC 7518 §3.4: the signature is R and S, 32 octets each.
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func segment(t testing.TB, value any) string {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}
