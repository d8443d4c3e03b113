package main

import (
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/cardvault/cardvault/vault/ledger"
	"github.com/cardvault/cardvault/vault/witness"
)

// witnessTimeout bounds what one witness is asked for one checkpoint.
const witnessTimeout = 5 * time.Second

// openWitnesses makes the client of the witnesses that the configuration names; nil
// where it names none.
func openWitnesses(c *auditConfig, signer ledger.Signer, log *slog.Logger) (*witness.Client, error) {
	if c.WitnessPolicy == "" {
		return nil, nil //nolint:nilnil // no witnesses are a value of their own
	}
	text, err := os.ReadFile(filepath.Clean(c.WitnessPolicy))
	if err != nil {
		return nil, usage("correct the configuration", "audit.witness_policy: %w", err)
	}
	policy, err := witness.ParsePolicy(text)
	if err != nil {
		return nil, usage("correct the policy", "audit.witness_policy: %w", err)
	}
	var authorities *x509.CertPool
	if c.WitnessCA != "" {
		if authorities, err = readCertPool(c.WitnessCA); err != nil {
			return nil, usage("correct the configuration", "audit.witness_ca: %w", err)
		}
	}
	return witness.NewClient(witness.ClientConfig{
		Policy: policy, Keys: signer.Keys, CAs: authorities, Timeout: witnessTimeout, Log: log,
	})
}
