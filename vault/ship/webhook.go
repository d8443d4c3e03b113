package ship

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// WebhookConfig is where requests go.
type WebhookConfig struct {
	// URL is https.
	URL string
	TLS *tls.Config
	// TokenFile holds a bearer token, and is read for each request. Empty: none.
	TokenFile string
	// Format is a name of Encoders.
	Format string
	// Origin is the log's, for the idempotency key.
	Origin string
}

// Webhook posts entries, one line each, as application/x-ndjson, or text/plain
// where they are no JSON. Delivered means that the answer was 2xx.
//
// The header Idempotency-Key names log, first and last index:
//
//	Idempotency-Key: "cards.example.com/audit 1000-1999"
//
// A request that is repeated in the same process has the same key. One after a
// restart may begin at the same index and go further: a receiver that keeps only
// new entries tells by the index of each.
type Webhook struct {
	cfg    WebhookConfig
	encode Encoder
	client *http.Client
}

// NewWebhook checks the configuration; it does not connect.
func NewWebhook(cfg WebhookConfig) (*Webhook, error) {
	encode, ok := Encoders()[cfg.Format]
	if !ok {
		return nil, errors.New("webhook: unknown format")
	}
	if !strings.HasPrefix(cfg.URL, "https://") || cfg.TLS == nil {
		return nil, errors.New("webhook: want an https:// URL and TLS")
	}
	return &Webhook{cfg: cfg, encode: encode, client: &http.Client{
		// No proxy from the environment, and no redirect: entries go where the
		// configuration says and nowhere else.
		Transport: &http.Transport{
			TLSClientConfig: cfg.TLS.Clone(), ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute,
			TLSHandshakeTimeout: 10 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Deliver posts events.
func (s *Webhook) Deliver(ctx context.Context, events []Event) error {
	if len(events) == 0 {
		return nil
	}
	request, err := s.request(ctx, events)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	answer, err := s.client.Do(request)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // without the URL, which may have a secret in it
	}
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	// Read a little, so that the connection can be used again; what it says is not of
	// interest and may be anything.
	_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return fmt.Errorf("webhook: answer: %w", err)
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("webhook: answered with status %d", answer.StatusCode)
	}
	return nil
}

func (s *Webhook) request(ctx context.Context, events []Event) (*http.Request, error) {
	var body []byte
	for i := range events {
		body = append(s.encode(body, &events[i]), '\n')
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	if s.cfg.Format == "cef" {
		r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	r.Header.Set("User-Agent", "cardvault")
	r.Header.Set("Idempotency-Key",
		fmt.Sprintf(`"%s %d-%d"`, s.cfg.Origin, events[0].Index, events[len(events)-1].Index))
	if s.cfg.TokenFile != "" {
		token, err := os.ReadFile(filepath.Clean(s.cfg.TokenFile))
		if err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	return r, nil
}

// Close ends idle connections.
func (s *Webhook) Close() error {
	s.client.CloseIdleConnections()
	return nil
}
