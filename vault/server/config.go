package server

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/cardvault/cardvault/vault"
)

// Config is what a Server is made of. All but CRLFile are required.
type Config struct {
	Vault *vault.Vault
	// TrustDomain whose SPIFFE ids may call, such as "prod.example.com".
	TrustDomain string
	// CertFile and KeyFile are the server's certificate chain and key, PEM.
	CertFile, KeyFile string
	// ClientCAFile holds the authorities whose client certificates are taken, PEM.
	ClientCAFile string
	// CRLFile holds a revocation list, PEM, of every authority that signs client
	// certificates. Once the lists have ended nobody is let in. Empty: revocation is
	// not checked.
	CRLFile string
	// MaxInFlight is how many calls are answered at once; others are told to try
	// again.
	MaxInFlight int
	Clock       func() time.Time
	Log         *slog.Logger
	Metrics     *Metrics
}

func (cfg *Config) check() (spiffeid.TrustDomain, error) {
	trustDomain, err := spiffeid.TrustDomainFromString(cfg.TrustDomain)
	if err != nil {
		return trustDomain, fmt.Errorf("trust domain: %w", err)
	}
	if cfg.MaxInFlight < 1 {
		return trustDomain, errors.New("max in flight: want at least 1")
	}
	return trustDomain, nil
}

func (cfg *Config) files() []string {
	files := []string{cfg.CertFile, cfg.KeyFile, cfg.ClientCAFile}
	if cfg.CRLFile != "" {
		files = append(files, cfg.CRLFile)
	}
	return files
}
