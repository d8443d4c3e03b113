package ship_test

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cardvault/cardvault/vault/ship"
)

// newReceiver serves HTTPS to clients of the site.
func newReceiver(t testing.TB, s *site, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.TLS = s.serverTLS()
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients die in the middle
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL + "/events"
}

func newWebhook(t testing.TB, s *site, url string, change ...func(*ship.WebhookConfig)) *ship.Webhook {
	t.Helper()
	cfg := ship.WebhookConfig{URL: url, TLS: s.clientTLS(), Format: "jsonl", Origin: origin}
	for _, c := range change {
		c(&cfg)
	}
	sink, err := ship.NewWebhook(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sink.Close() })
	return sink
}

func TestWebhookPosts(t *testing.T) {
	s := newSite(t)
	var lines, keys, tokens []string
	url := newReceiver(t, s, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		lines = slices.AppendSeq(lines, strings.Lines(string(body)))
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		tokens = append(tokens, r.Header.Get("Authorization"))
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%s of %s", r.Method, r.Header.Get("Content-Type"))
		}
		w.WriteHeader(http.StatusAccepted)
	})
	file := filepath.Join(t.TempDir(), "token")
	writeFile(t, file, "first\n")
	sink := newWebhook(t, s, url, func(c *ship.WebhookConfig) { c.TokenFile = file })
	deliver(t, sink, events("s", 0, 70))
	writeFile(t, file, "second\n")
	deliver(t, sink, events("s", 70, 71))
	if !slices.Equal(lines, wantLines(events("s", 0, 71))) {
		t.Error("other lines came")
	}
	if want := []string{`"` + origin + ` 0-69"`, `"` + origin + ` 70-70"`}; !slices.Equal(keys, want) {
		t.Errorf("keys are %q, want %q", keys, want)
	}
	if want := []string{"Bearer first", "Bearer second"}; !slices.Equal(tokens, want) {
		t.Errorf("tokens are %q, want %q", tokens, want)
	}
}

// Nothing but 2xx acknowledges; a redirect is not followed; the error does not repeat URL or answer.
func TestWebhookIsNotDeliveredUnlessAcknowledged(t *testing.T) {
	s := newSite(t)
	var status int
	var calls int
	var mu sync.Mutex
	url := newReceiver(t, s, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		calls++
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "SECRET")
	})
	sink := newWebhook(t, s, url+"?key=SECRET")
	for i, code := range []int{0, 300, 302, 307, 400, 401, 404, 409, 429, 500, 503} {
		mu.Lock()
		status, calls = code, 0
		mu.Unlock()
		err := sink.Deliver(t.Context(), events("s", 0, 3))
		if err == nil {
			t.Errorf("%d counts as delivered", code)
		} else if strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%d: the error says %v", code, err)
		}
		mu.Lock()
		if code != 0 && calls != 1 {
			t.Errorf("%d of %d: %d calls", code, i, calls)
		}
		mu.Unlock()
	}
}

func TestWebhookRefusesWhatIsNotHTTPS(t *testing.T) {
	s := newSite(t)
	if _, err := ship.NewWebhook(ship.WebhookConfig{URL: "http://localhost/", TLS: s.clientTLS(), Format: "jsonl"}); err == nil {
		t.Error("http:// is accepted")
	}
	url := newReceiver(t, newSite(t), func(http.ResponseWriter, *http.Request) {})
	if err := newWebhook(t, s, url).Deliver(t.Context(), events("s", 0, 1)); err == nil {
		t.Error("delivered to a server of another CA")
	}
	file := filepath.Join(t.TempDir(), "none")
	sink := newWebhook(t, s, url, func(c *ship.WebhookConfig) { c.TokenFile = file })
	if err := sink.Deliver(t.Context(), events("s", 0, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Error("posts without its token")
	}
}
