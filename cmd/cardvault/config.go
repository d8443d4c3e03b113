package main

import (
	"cmp"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"
)

// config is what `serve` and `migrate` read: one YAML document. An unknown key is
// an error, and so is a value that makes no sense; nothing is guessed. Secrets
// stand in files of their own, and here are the paths of those only. Certificates,
// revocation lists and policy are read again when they change, within 15 seconds or
// at once on SIGHUP; a change of this file takes a restart.
type config struct {
	// Listen is where the API is served, host:port; port 0 takes a free one and logs
	// it. Default ":7443".
	Listen   string         `yaml:"listen"`
	Metrics  metricsConfig  `yaml:"metrics"`
	TLS      tlsConfig      `yaml:"tls"`
	Postgres postgresConfig `yaml:"postgres"`
	Transit  transitConfig  `yaml:"transit"`
	KeyCache keyCacheConfig `yaml:"key_cache"`
	DataKey  dataKeyConfig  `yaml:"data_key"`
	Policy   policyConfig   `yaml:"policy"`
	Audit    auditConfig    `yaml:"audit"`
	Limits   limitsConfig   `yaml:"limits"`
	Log      logConfig      `yaml:"log"`
}

// metricsConfig is about numbers for Prometheus.
type metricsConfig struct {
	// Listen is where they are served, host:port, in clear and to anyone who can
	// connect: an address that only the monitoring reaches. Default "127.0.0.1:7444".
	Listen string `yaml:"listen"`
}

// tlsConfig is how server and clients know each other. All files are PEM.
type tlsConfig struct {
	// Cert is the server's certificate with its intermediates. Required.
	Cert string `yaml:"cert"`
	// Key is the certificate's private key. Required.
	Key string `yaml:"key"`
	// ClientCA holds the authorities whose client certificates are taken. Required.
	ClientCA string `yaml:"client_ca"`
	// CRL holds a revocation list of each authority; once a list has ended nobody is
	// let in. Default: revocation is not looked at.
	CRL string `yaml:"crl"`
	// TrustDomain is the SPIFFE trust domain of all clients, such as
	// "cards.example.com". Required.
	TrustDomain string `yaml:"trust_domain"`
}

// postgresConfig is where the store is: a file with the whole connection URL, or
// its parts.
type postgresConfig struct {
	// URLFile holds a postgres:// URL, password included. Nothing else may be set
	// beside it but MaxConns.
	URLFile string `yaml:"url_file"`
	// Host is a name, an address or the folder of a Unix socket.
	Host string `yaml:"host"`
	// Port defaults to 5432.
	Port     int    `yaml:"port"`
	User     string `yaml:"user"`
	Database string `yaml:"database"`
	// PasswordFile holds the password. Default: none, for certificate and peer
	// authentication.
	PasswordFile string `yaml:"password_file"`
	// SSLMode is verify-full, verify-ca or, to a Unix socket or loopback address
	// alone, disable. Default verify-full.
	SSLMode string `yaml:"ssl_mode"`
	// SSLRootCert holds the authorities that vouch for the server, PEM. Default: those
	// of the system.
	SSLRootCert string `yaml:"ssl_root_cert"`
	// SSLCert and SSLKey are a client certificate and its key, PEM.
	SSLCert string `yaml:"ssl_cert"`
	SSLKey  string `yaml:"ssl_key"`
	// MaxConns bounds the connections of this replica. Default 0: 4, or one per CPU
	// where that is more.
	MaxConns int `yaml:"max_conns"`
}

// transitConfig is where the key-encryption key is: a key of HashiCorp Vault's or
// OpenBao's transit engine.
type transitConfig struct {
	// Address is an https:// URL. Required.
	Address string `yaml:"address"`
	// CA holds the authorities that vouch for it, PEM. Default: those of the system.
	CA string `yaml:"ca"`
	// Mount is the path of the transit engine. Default "transit".
	Mount string `yaml:"mount"`
	// Key is the name of the key: aes256-gcm96, derived. Required.
	Key string `yaml:"key"`
	// Namespace is for servers that have those. Default: none.
	Namespace string     `yaml:"namespace"`
	Auth      authConfig `yaml:"auth"`
}

// authConfig is how cardvault logs in to transit: exactly one of these.
type authConfig struct {
	// TokenFile holds a token, renewed by whoever writes the file.
	TokenFile  string           `yaml:"token_file"`
	AppRole    appRoleConfig    `yaml:"approle"`
	Kubernetes kubernetesConfig `yaml:"kubernetes"`
	Cert       certAuthConfig   `yaml:"cert"`
}

// appRoleConfig logs in with a role id and a secret id.
type appRoleConfig struct {
	// Mount is the path of the method. Default "approle".
	Mount string `yaml:"mount"`
	// RoleIDFile and SecretIDFile hold the two halves. Required.
	RoleIDFile   string `yaml:"role_id_file"`
	SecretIDFile string `yaml:"secret_id_file"`
}

// kubernetesConfig logs in with the token of the pod's service account.
type kubernetesConfig struct {
	// Mount is the path of the method. Default "kubernetes".
	Mount string `yaml:"mount"`
	// Role is the name of the role. Required.
	Role string `yaml:"role"`
	// TokenFile defaults to where Kubernetes puts the token.
	TokenFile string `yaml:"token_file"`
}

// certAuthConfig logs in with a TLS client certificate.
type certAuthConfig struct {
	// Mount is the path of the method. Default "cert".
	Mount string `yaml:"mount"`
	// Role is the name of the certificate's role. Default: the server finds it.
	Role string `yaml:"role"`
	// Cert and Key are the certificate and its key, PEM. Required. Without a common
	// name the login fails: the server knows the certificate by it.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// keyCacheConfig is about unwrapped keys in memory.
type keyCacheConfig struct {
	// MaxAge is how long a key serves while transit is out of reach; after that calls
	// fail with UNAVAILABLE. 10s to 24h. Default 5m.
	MaxAge time.Duration `yaml:"max_age"`
}

// dataKeyConfig is about the keys that seal PANs.
type dataKeyConfig struct {
	// Cryptoperiod is how long one seals before its successor takes over (NIST SP
	// 800-57 part 1, §5.3), 1h to 17520h. Default 8760h, a year.
	Cryptoperiod time.Duration `yaml:"cryptoperiod"`
}

// policyConfig says who may do what.
type policyConfig struct {
	// File is a policy in the Cedar language. Required.
	File string `yaml:"file"`
}

// auditConfig is about the audit log.
type auditConfig struct {
	// Origin names the log in its checkpoints (C2SP tlog-checkpoint). A log goes by one
	// origin for as long as it exists. Default: the trust domain and "/audit".
	Origin string `yaml:"origin"`
	// PreviousOrigin is what the log went by until a backup was restored: a log that is
	// shorter than it was is another log. Default: there was no restore.
	PreviousOrigin string `yaml:"previous_origin"`
	// Key is the transit key that signs checkpoints: ed25519. Default
	// "cardvault-audit".
	Key string `yaml:"key"`
	// Retention is how long entries are kept at least; hashes stay for good. 8784h to
	// 876000h: PCI DSS 4.0.1, 10.5.1 wants twelve months. Default 9528h, thirteen.
	Retention time.Duration `yaml:"retention"`
	// WitnessPolicy is a file in C2SP's tlog-policy format: witnesses, where they are,
	// and how many of them have to cosign a checkpoint before it is published.
	// Default: none are asked.
	WitnessPolicy string `yaml:"witness_policy"`
	// WitnessCA holds the authorities that vouch for witnesses, PEM. Default: those of
	// the system.
	WitnessCA string `yaml:"witness_ca"`
}

// origin returns the log's name.
func (c *config) origin() string { return cmp.Or(c.Audit.Origin, c.TLS.TrustDomain+"/audit") }

// limitsConfig bounds what the server takes on.
type limitsConfig struct {
	// InFlight calls are answered at once; more are refused as UNAVAILABLE. 1 to
	// 100000. Default 1024.
	InFlight int `yaml:"in_flight"`
	// Drain is how long calls may take to end after SIGTERM. Default 20s.
	Drain time.Duration `yaml:"drain"`
}

// logConfig is about the log: JSON lines on standard error.
type logConfig struct {
	// Level is debug, info, warn or error. Default info.
	Level string `yaml:"level"`
}

// defaults is the configuration of an empty file, before it is found incomplete.
func defaults() config {
	return config{
		Listen:   ":7443",
		Metrics:  metricsConfig{Listen: "127.0.0.1:7444"},
		Transit:  transitConfig{Mount: "transit"},
		KeyCache: keyCacheConfig{MaxAge: 5 * time.Minute},
		DataKey:  dataKeyConfig{Cryptoperiod: 365 * 24 * time.Hour},
		Audit:    auditConfig{Key: "cardvault-audit", Retention: 397 * 24 * time.Hour},
		Limits:   limitsConfig{InFlight: 1024, Drain: 20 * time.Second},
		Log:      logConfig{Level: "info"},
	}
}

// maxConfig is the most bytes of a configuration file.
const maxConfig = 1 << 20

// readConfig reads, decodes and checks a file.
func readConfig(path string) (config, error) {
	const next = "correct the file and start again"
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return config{}, usage("name a configuration file with --config", "configuration: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return config{}, usage(next, "configuration: %w", err)
	}
	c, err := parseConfig(text)
	if err != nil {
		return config{}, usage(next, "%s: %w", path, err)
	}
	return c, nil
}

// parseConfig decodes and checks a configuration.
func parseConfig(text []byte) (config, error) {
	if len(text) > maxConfig {
		return config{}, errors.New("longer than 1 MiB")
	}
	c := defaults()
	if err := decodeYAML(text, &c); err != nil {
		return config{}, err
	}
	return c, c.check()
}
