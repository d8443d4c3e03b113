package transit_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/secret"
	"github.com/cardvault/cardvault/crypto/transit"
)

const canaryToken = "hvs.canary-token"

// standIn is a server for answers that the real one cannot be brought to give. It
// answers a look at the token, and leaves the rest to handle.
func standIn(t *testing.T, handle http.HandlerFunc, edits ...func(*transit.Config)) *transit.KEK {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/auth/token/lookup-self" && r.Header.Get("X-Vault-Token") == canaryToken {
			io.WriteString(w, `{"data":{"ttl":0,"renewable":false}}`) //nolint:errcheck // the client will notice
			return
		}
		handle(w, r)
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // some clients are to hang up on it
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := writeFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	cfg := transit.Config{
		Address: server.URL, CAFile: ca, Key: "kek", Timeouts: generous,
		Auth: transit.Auth{TokenFile: writeFile(t, canaryToken)},
	}
	for _, edit := range edits {
		edit(&cfg)
	}
	kek, err := transit.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kek.Close)
	return kek
}

// answer returns a handler that always gives the same answer.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body) //nolint:errcheck // the client will notice
	}
}

// A denial drops keys at once, so only the server's own no may be one.
func TestWhatAnswersMean(t *testing.T) {
	const own = `{"errors":["because"]}`
	tests := []struct {
		name   string
		status int
		body   string
		want   error
	}{
		{"bad ciphertext", 400, own, keyring.ErrDenied},
		{"unauthenticated", 401, own, keyring.ErrDenied},
		{"forbidden", 403, own, keyring.ErrDenied},
		{"not found", 404, own, keyring.ErrDenied},
		{"not found, without a reason", 404, `{"errors":[]}`, keyring.ErrDenied},
		{"unsupported", 405, own, keyring.ErrDenied},
		{"timed out", 408, own, keyring.ErrUnavailable},
		{"replica behind", 412, own, keyring.ErrUnavailable},
		{"quota", 429, own, keyring.ErrUnavailable},
		{"failed", 500, own, keyring.ErrUnavailable},
		{"bad gateway", 502, "<html>", keyring.ErrUnavailable},
		{"sealed", 503, own, keyring.ErrUnavailable},
		{"another's not found", 404, "default backend - 404", keyring.ErrUnavailable},
		{"another's forbidden", 403, `{"message":"blocked"}`, keyring.ErrUnavailable},
		{"another's empty no", 400, "", keyring.ErrUnavailable},
		{"an empty yes", 200, "", keyring.ErrUnavailable},
		{"nothing at all", 204, "", keyring.ErrUnavailable},
		{"a page", 200, "<html>", keyring.ErrUnavailable},
		{"no data", 200, `{"data":{}}`, keyring.ErrUnavailable},
		{"data of another kind", 200, `{"data":{"plaintext":1,"ciphertext":1}}`, keyring.ErrUnavailable},
		{"data in another form", 200, `{"data":{"plaintext":"!","ciphertext":"v1"}}`, keyring.ErrUnavailable},
		{"an empty key", 200, `{"data":{"plaintext":"","ciphertext":""}}`, keyring.ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			kek := standIn(t, answer(tt.status, tt.body))
			_, err := kek.Unwrap(t.Context(), []byte("b"), []byte("vault:v1:AAAA"))
			mustMean(t, "Unwrap", err, tt.want)
			_, _, err = kek.Wrap(t.Context(), []byte("b"), secret.Random(32))
			mustMean(t, "Wrap", err, tt.want)
		})
	}
}

func mustMean(t *testing.T, call string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || (errors.Is(err, keyring.ErrDenied) && errors.Is(err, keyring.ErrUnavailable)) {
		t.Errorf("%s: %v, want %v", call, err, want)
	}
}

// A proxy that answers with what it was sent must not put it into our logs.
func TestErrorsEchoNothing(t *testing.T) {
	key := secret.New([]byte("canary-key-of-32-bytes-canary-ke"))
	for _, status := range []int{200, 400, 403, 500} {
		kek := standIn(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			r.Write(w) //nolint:errcheck // the client will notice
		})
		_, _, err := kek.Wrap(t.Context(), []byte("b"), key)
		if err == nil {
			t.Fatalf("%d: an echo passes for an answer", status)
		}
		for _, leak := range []string{canaryToken, "Y2FuYXJ5", "canary-key"} {
			if strings.Contains(err.Error(), leak) {
				t.Errorf("%d: the error shows %q: %v", status, leak, err)
			}
		}
	}
}

// Calls that are refused late, when another has logged in already, use that login.
func TestLateRefusalsShareTheLogin(t *testing.T) {
	var logins, arrived atomic.Int32
	bothArrived, secondMayFail := make(chan struct{}), make(chan struct{})
	no := answer(403, `{"errors":["permission denied"]}`)
	kek := standIn(t, func(w http.ResponseWriter, r *http.Request) {
		switch token := r.Header.Get("X-Vault-Token"); {
		case r.URL.Path == "/v1/auth/approle/login":
			answer(200, fmt.Sprintf(`{"auth":{"client_token":"t%d"}}`, logins.Add(1)))(w, r)
		case token == "t2" && r.URL.Path != "/v1/auth/token/lookup-self":
			answer(200, `{"data":{"ciphertext":"vault:v1:AAAA"}}`)(w, r)
		case r.URL.Path == "/v1/transit/encrypt/kek":
			if arrived.Add(1) == 2 {
				close(bothArrived)
				<-secondMayFail
			}
			<-bothArrived
			no(w, r)
		default:
			no(w, r)
		}
	}, func(c *transit.Config) {
		c.Auth = transit.Auth{AppRole: &transit.AppRole{RoleID: "r", SecretIDFile: writeFile(t, "s")}}
	})
	results := make(chan error, 2)
	for range 2 {
		go func() {
			_, _, err := kek.Wrap(t.Context(), []byte("b"), secret.Random(32))
			results <- err
		}()
	}
	first := <-results
	close(secondMayFail)
	if err := errors.Join(first, <-results); err != nil {
		t.Error(err)
	}
	if logins.Load() != 2 {
		t.Errorf("%d logins, want the first and one more", logins.Load())
	}
}

// A server that falls silent is asked again within the time of one call.
func TestSilenceIsNotWaitedOut(t *testing.T) {
	var calls atomic.Int32
	silence := make(chan struct{})
	defer close(silence)
	kek := standIn(t, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			<-silence
		}
		answer(200, `{"data":{"ciphertext":"vault:v1:AAAA"}}`)(w, r)
	}, func(c *transit.Config) { c.Timeouts = transit.Timeouts{Call: time.Hour, Attempt: time.Second} })
	if _, _, err := kek.Wrap(t.Context(), []byte("b"), secret.Random(32)); err != nil {
		t.Error(err)
	}
}

// What a developer's shell is set up for reaches neither the KEK nor the server.
func TestEnvironmentIsIgnored(t *testing.T) {
	t.Setenv("VAULT_TOKEN", canaryToken)
	t.Setenv("VAULT_NAMESPACE", "elsewhere")
	t.Setenv("VAULT_ADDR", "https://127.0.0.1:1")
	t.Setenv("VAULT_SKIP_VERIFY", "true")
	t.Setenv("VAULT_HEADERS", `{"X-Test":"1"}`)
	var asked atomic.Int32
	check := func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		for _, header := range []string{"X-Vault-Namespace", "X-Test"} {
			if value := r.Header.Get(header); value != "" {
				t.Errorf("%s: %s at %s", header, value, r.URL.Path)
			}
		}
		if token := r.Header.Get("X-Vault-Token"); token == canaryToken {
			t.Errorf("the developer's token at %s", r.URL.Path)
		}
		answer(200, `{"auth":{"client_token":"ours"},"data":{"ciphertext":"vault:v1:AAAA"}}`)(w, r)
	}
	auth := func(c *transit.Config) {
		c.Auth = transit.Auth{AppRole: &transit.AppRole{RoleID: "r", SecretIDFile: writeFile(t, "s")}}
	}
	if _, _, err := standIn(t, check, auth).Wrap(t.Context(), []byte("b"), secret.Random(32)); err != nil || asked.Load() != 2 {
		t.Errorf("%d requests, %v", asked.Load(), err)
	}
	distrustful := standIn(t, check, auth, func(c *transit.Config) { c.CAFile = "" })
	if _, _, err := distrustful.Wrap(t.Context(), []byte("b"), secret.Random(32)); !errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("a server that nobody vouches for: %v", err)
	}
}

// A server that is busy for a moment is asked again; one that said no is not.
func TestRepetitions(t *testing.T) {
	var calls atomic.Int32
	kek := standIn(t, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) < 3 {
			answer(503, `{"errors":["busy"]}`)(w, r)
			return
		}
		answer(200, `{"data":{"ciphertext":"vault:v7:AAAA"}}`)(w, r)
	})
	wrapped, version, err := kek.Wrap(t.Context(), []byte("b"), secret.Random(32))
	if err != nil || string(wrapped) != "vault:v7:AAAA" || version != "7" {
		t.Errorf("%q by version %q, %v", wrapped, version, err)
	}
	calls.Store(0)
	no := standIn(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		answer(400, `{"errors":["no"]}`)(w, r)
	})
	if _, _, err := no.Wrap(t.Context(), []byte("b"), secret.Random(32)); err == nil || calls.Load() != 1 {
		t.Errorf("asked %d times for a no: %v", calls.Load(), err)
	}
}

func TestSpeaksHTTP1(t *testing.T) {
	var major atomic.Int32
	kek := standIn(t, func(w http.ResponseWriter, r *http.Request) {
		major.Store(int32(r.ProtoMajor & 0xf))
		answer(400, `{"errors":["no"]}`)(w, r)
	})
	if _, _, err := kek.Wrap(t.Context(), []byte("b"), secret.Random(32)); err == nil || major.Load() != 1 {
		t.Errorf("HTTP/%d, %v", major.Load(), err)
	}
}

// A standby node sends its callers to the active one.
func TestStandbyRedirects(t *testing.T) {
	active := startWithKey(t)
	kek := standIn(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", active.Address+r.URL.Path)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}, func(c *transit.Config) {
		c.Auth = root(t, active)
		c.CAFile = writeFile(t, readText(t, c.CAFile)+readText(t, active.CAFile))
	})
	roundTrip(t, kek)
}

// goodKey is what transit says of a key that a KEK may be.
const goodKey = `{"data":{"type":"aes256-gcm96","derived":true,"exportable":false,"allow_plaintext_backup":false,"deletion_allowed":false}}`

// On a server that heeds namespaces the probe finds nothing, and that is right.
func TestCheckInANamespace(t *testing.T) {
	var vault pretence
	kek := standIn(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Vault-Namespace") != "team/cards" {
			answer(404, `{"errors":["no handler for route"]}`)(w, r)
			return
		}
		vault.serve(w, r)
	}, func(c *transit.Config) { c.Namespace = "/team/cards/" })
	if err := kek.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// A key that unwraps under any binding is no KEK, whatever its properties say.
func TestCheckTriesTheBinding(t *testing.T) {
	vault := pretence{anyBinding: true}
	if err := standIn(t, vault.serve).Check(t.Context()); !errors.Is(err, transit.ErrWeakKey) {
		t.Error(err)
	}
	vault = pretence{scramble: true}
	err := standIn(t, vault.serve).Check(t.Context())
	if !errors.Is(err, keyring.ErrDenied) {
		t.Fatal(err)
	}
	mentions(t, err, "came back changed")
}

// What the server does not say about a key counts as the weak answer.
func TestCheckTakesSilenceForWeakness(t *testing.T) {
	for _, property := range []string{`"derived":true,`, `"exportable":false,`, `"allow_plaintext_backup":false,`, `,"deletion_allowed":false`} {
		said := strings.Replace(goodKey, property, "", 1)
		if said == goodKey {
			t.Fatalf("nothing left out: %s", property)
		}
		if err := standIn(t, answer(200, said)).Check(t.Context()); !errors.Is(err, transit.ErrWeakKey) {
			t.Errorf("without %s: %v", property, err)
		}
	}
	for _, said := range []string{"", "{}", `{"data":null}`, `{"data":{"derived":"yes"}}`} {
		if err := standIn(t, answer(200, said)).Check(t.Context()); !errors.Is(err, keyring.ErrUnavailable) {
			t.Errorf("to %q: %v", said, err)
		}
	}
}

// pretence is a transit engine that keeps plaintexts for ciphertexts.
type pretence struct {
	anyBinding bool // does not heed the context
	scramble   bool // returns another plaintext

	mu      sync.Mutex
	wrapped string // the request body of the last encryption
}

func (p *pretence) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	switch {
	case err != nil:
		answer(500, `{"errors":["cannot read"]}`)(w, r)
	case strings.Contains(r.URL.Path, "/keys/"):
		answer(200, goodKey)(w, r)
	case strings.Contains(r.URL.Path, "/encrypt/"):
		p.wrapped = string(body)
		answer(200, `{"data":{"ciphertext":"vault:v1:AAAA"}}`)(w, r)
	case p.scramble:
		answer(200, `{"data":{"plaintext":"AAAA"}}`)(w, r)
	case p.anyBinding || field(string(body), "context") == field(p.wrapped, "context"):
		answer(200, `{"data":{"plaintext":"`+field(p.wrapped, "plaintext")+`"}}`)(w, r)
	default:
		answer(400, `{"errors":["cipher: message authentication failed"]}`)(w, r)
	}
}

// field returns a string field of flat JSON.
func field(body, name string) string {
	_, rest, _ := strings.Cut(body, `"`+name+`":"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}
