package witness

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// ClientConfig is what a client is made of. All of it is required but CAs.
type ClientConfig struct {
	Policy Policy
	// Keys returns the keys that the log's checkpoints may be signed with, those of
	// the past included.
	Keys func(context.Context) ([]note.Verifier, error)
	// CAs vouch for the witnesses; nil: those of the system.
	CAs *x509.CertPool
	// Timeout bounds what one witness is asked for one checkpoint.
	Timeout time.Duration
	Log     *slog.Logger
}

// Client asks the witnesses of a policy for cosignatures on the checkpoints of one
// log. It is safe for concurrent use.
type Client struct {
	policy  Policy
	keys    func(context.Context) ([]note.Verifier, error)
	web     *http.Client
	timeout time.Duration
	log     *slog.Logger
	peers   []*peer
	asking  sync.WaitGroup

	mu sync.Mutex
	// forked is what a witness found that answered after its call had returned.
	forked error
}

// peer is a witness as the client knows it.
type peer struct {
	member
	// turn is held by the one call at a time that asks the witness. What follows is
	// its.
	turn chan struct{}
	// size of the last checkpoint that the witness is known to have.
	size    int64
	failing bool
}

// NewClient returns a client. It connects to nobody yet.
func NewClient(cfg ClientConfig) (*Client, error) {
	if len(cfg.Policy.members) == 0 || cfg.Keys == nil || cfg.Timeout <= 0 || cfg.Log == nil {
		return nil, errors.New("witness: an incomplete configuration")
	}
	c := &Client{policy: cfg.Policy, keys: cfg.Keys, timeout: cfg.Timeout, log: cfg.Log}
	c.web = &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			TLSClientConfig:     &tls.Config{RootCAs: cfg.CAs, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 1,
			IdleConnTimeout:     time.Minute,
		},
		// A witness is where the policy says: a redirect could lead to plain HTTP.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, m := range cfg.Policy.members {
		c.peers = append(c.peers, &peer{member: m, turn: make(chan struct{}, 1)})
	}
	return c, nil
}

// Close waits until no witness is asked any more, which takes no longer than the
// timeout, and ends the connections.
func (c *Client) Close() {
	c.asking.Wait()
	c.web.CloseIdleConnections()
}
