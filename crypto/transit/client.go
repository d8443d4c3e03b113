package transit

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/vault/api"
)

// What a call that failed is repeated with, and the connections it may use. The
// client's own defaults, 60 s and waits of 1 s and more, are not for a server that
// others wait for.
const (
	retries      = 2
	minRetryWait = 50 * time.Millisecond
	maxRetryWait = 250 * time.Millisecond

	maxConnections  = 16 // bounds what a restart of ours asks of the server at once
	idleConnections = 4
	idleTimeout     = 90 * time.Second
)

// newClient returns a client without a token.
func newClient(cfg *Config, transport *http.Transport) (*api.Client, error) {
	client, err := api.NewClient(&api.Config{
		Address: cfg.Address,
		HttpClient: &http.Client{
			Transport: transport,
			// The API client follows redirects of a standby node itself, and only once.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Timeout:    cfg.Timeouts.Call,
		MaxRetries: retries, MinRetryWait: minRetryWait, MaxRetryWait: maxRetryWait,
	})
	if err != nil {
		return nil, fmt.Errorf("transit: %w", err)
	}
	// NewClient takes token, namespace and headers from the environment. Ours come from
	// the configuration alone.
	client.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	client.ClearToken()
	if cfg.Namespace != "" {
		client.SetNamespace(cfg.Namespace)
	}
	return client, nil
}

// newTransport speaks HTTP/1.1 only: with few and small calls it takes less CPU than
// HTTP/2, and a connection gone silent stops one call instead of all.
func newTransport(cfg *Config) (*http.Transport, error) {
	tlsConfig, err := newTLSConfig(cfg)
	if err != nil {
		return nil, err
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Protocols:             protocols,
		TLSClientConfig:       tlsConfig,
		DialContext:           (&net.Dialer{Timeout: cfg.Timeouts.Attempt}).DialContext,
		TLSHandshakeTimeout:   cfg.Timeouts.Attempt,
		ResponseHeaderTimeout: cfg.Timeouts.Attempt,
		MaxConnsPerHost:       maxConnections,
		MaxIdleConnsPerHost:   idleConnections,
		IdleConnTimeout:       idleTimeout,
	}, nil
}

func newTLSConfig(cfg *Config) (*tls.Config, error) {
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CAFile != "" {
		roots, err := readAuthorities(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("transit: CA file: %w", err)
		}
		tlsConfig.RootCAs = roots
	}
	if t := cfg.Auth.TLSCert; t != nil {
		if _, err := t.load(); err != nil {
			return nil, err
		}
		tlsConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return t.load() }
	}
	return tlsConfig, nil
}

func readAuthorities(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in " + file)
	}
	return roots, nil
}

// load reads the certificate anew, so that it may be replaced while we run.
func (t *TLSCert) load() (*tls.Certificate, error) {
	certificate, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("transit: auth: TLS certificate: %w", err)
	}
	return &certificate, nil
}
