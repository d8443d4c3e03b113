package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// wholeConfig sets every field that can be set at once.
const wholeConfig = `
listen: 0.0.0.0:7443
metrics:
  listen: 127.0.0.1:9100
tls:
  cert: /tls/server.pem
  key: /tls/server.key
  client_ca: /tls/clients.pem
  crl: /tls/crl.pem
  trust_domain: cards.example.com
postgres:
  host: db.example.com
  port: 5433
  user: cardvault
  database: cards
  password_file: /secrets/pg
  ssl_mode: verify-ca
  ssl_root_cert: /tls/pg.pem
  ssl_cert: /tls/pg-client.pem
  ssl_key: /tls/pg-client.key
  max_conns: 8
transit:
  address: https://transit.example.com:8200
  ca: /tls/transit.pem
  mount: keys
  key: cards
  namespace: team
  auth:
    approle:
      mount: roles
      role_id_file: /secrets/role
      secret_id_file: /secrets/secret
key_cache:
  max_age: 10m
data_key:
  cryptoperiod: 720h
policy:
  file: /etc/cardvault/policy.cedar
audit:
  origin: cards.example.com/log
  previous_origin: cards.example.com/audit
  key: log
  retention: 8784h
  witness_policy: /etc/cardvault/witness.policy
  witness_ca: /tls/witness.pem
limits:
  in_flight: 64
  drain: 5s
log:
  level: warn
`

// leastConfig is the shortest that a server starts with.
const leastConfig = `
tls: {cert: a, key: b, client_ca: c, trust_domain: cards.example.com}
postgres: {url_file: d}
transit: {address: "https://transit:8200", key: cards, auth: {token_file: e}}
policy: {file: f}
`

func TestParseConfig(t *testing.T) {
	c, err := parseConfig([]byte(wholeConfig))
	if err != nil {
		t.Fatal(err)
	}
	want := config{
		Listen:  "0.0.0.0:7443",
		Metrics: metricsConfig{Listen: "127.0.0.1:9100"},
		TLS: tlsConfig{
			Cert: "/tls/server.pem", Key: "/tls/server.key", ClientCA: "/tls/clients.pem", CRL: "/tls/crl.pem",
			TrustDomain: "cards.example.com",
		},
		Postgres: postgresConfig{
			Host: "db.example.com", Port: 5433, User: "cardvault", Database: "cards", PasswordFile: "/secrets/pg",
			SSLMode: "verify-ca", SSLRootCert: "/tls/pg.pem", SSLCert: "/tls/pg-client.pem", SSLKey: "/tls/pg-client.key", MaxConns: 8,
		},
		Transit: transitConfig{
			Address: "https://transit.example.com:8200", CA: "/tls/transit.pem", Mount: "keys", Key: "cards", Namespace: "team",
			Auth: authConfig{AppRole: appRoleConfig{Mount: "roles", RoleIDFile: "/secrets/role", SecretIDFile: "/secrets/secret"}},
		},
		KeyCache: keyCacheConfig{MaxAge: 10 * time.Minute},
		DataKey:  dataKeyConfig{Cryptoperiod: 720 * time.Hour},
		Policy:   policyConfig{File: "/etc/cardvault/policy.cedar"},
		Audit: auditConfig{
			Origin: "cards.example.com/log", PreviousOrigin: "cards.example.com/audit", Key: "log", Retention: 8784 * time.Hour,
			WitnessPolicy: "/etc/cardvault/witness.policy", WitnessCA: "/tls/witness.pem",
		},
		Limits: limitsConfig{InFlight: 64, Drain: 5 * time.Second},
		Log:    logConfig{Level: "warn"},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestParseConfigDefaults(t *testing.T) {
	c, err := parseConfig([]byte(leastConfig))
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.TLS = tlsConfig{Cert: "a", Key: "b", ClientCA: "c", TrustDomain: "cards.example.com"}
	want.Postgres.URLFile = "d"
	want.Transit.Address, want.Transit.Key, want.Transit.Auth.TokenFile = "https://transit:8200", "cards", "e"
	want.Policy.File = "f"
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestConfigErrorsNameTheField spoils one thing at a time.
func TestConfigErrorsNameTheField(t *testing.T) {
	for _, c := range []struct{ replace, by, want string }{
		{"listen: 0.0.0.0:7443", "listen: here", "listen: want host:port"},
		{"listen: 127.0.0.1:9100", "listen: 127.0.0.1", "metrics.listen: want host:port"},
		{"  cert: /tls/server.pem\n", "", "tls.cert: is missing"},
		{"  key: /tls/server.key\n", "", "tls.key: is missing"},
		{"  client_ca: /tls/clients.pem\n", "", "tls.client_ca: is missing"},
		{"  trust_domain: cards.example.com\n", "", "tls.trust_domain: is missing"},
		{"trust_domain: cards.example.com", "trust_domain: Secret Domain", "tls.trust_domain: want"},
		{"  host: db.example.com\n", "", "postgres.host: is missing"},
		{"  user: cardvault\n", "", "postgres.user: is missing"},
		{"  database: cards\n", "", "postgres.database: is missing"},
		{"  port: 5433", "  port: 70000", "postgres.port: want 0 to 65535"},
		{"  port: 5433", "  port: x", "line 13: postgres.port: want a whole number"},
		{"  port: 5433", "  port: 0x10", "postgres.port: want a whole number"},
		{"ssl_mode: verify-ca", "ssl_mode: prefer", "postgres.ssl_mode: want verify-full, verify-ca or disable"},
		{"ssl_mode: verify-ca", "ssl_mode: disable", "postgres.ssl_mode: disable is for"},
		{"  ssl_key: /tls/pg-client.key\n", "", "postgres.ssl_cert: want it together with postgres.ssl_key"},
		{"max_conns: 8", "max_conns: -1", "postgres.max_conns: want 0 to 1000"},
		{"max_conns: 8", "max_conns: 8\n  url_file: x", "postgres.url_file: want either"},
		{"address: https:", "address: http:", "transit.address: want https"},
		{"address: https:", "address: ftp:", "transit.address: want https"},
		{"https://transit", "https://me:pw@transit", "transit.address: want https"},
		{"  address: https://transit.example.com:8200\n", "", "transit.address: is missing"},
		{"  key: cards\n", "", "transit.key: is missing"},
		{"      role_id_file: /secrets/role\n", "", "transit.auth.approle.role_id_file: is missing"},
		{"      secret_id_file: /secrets/secret\n", "", "transit.auth.approle.secret_id_file: is missing"},
		{"    approle:", "    token_file: x\n    approle:", "transit.auth: want exactly one"},
		{"    approle:\n      mount: roles\n      role_id_file: /secrets/role\n      secret_id_file: /secrets/secret", "    kubernetes: {mount: k}", "transit.auth.kubernetes.role: is missing"},
		{"    approle:\n      mount: roles\n      role_id_file: /secrets/role\n      secret_id_file: /secrets/secret", "    cert: {cert: c}", "transit.auth.cert.key: is missing"},
		{"    approle:\n      mount: roles\n      role_id_file: /secrets/role\n      secret_id_file: /secrets/secret", "    {}", "transit.auth: want exactly one"},
		{"max_age: 10m", "max_age: 48h", "key_cache.max_age: want 10s to 24h"},
		{"max_age: 10m", "max_age: 600", "key_cache.max_age: want a duration"},
		{"cryptoperiod: 720h", "cryptoperiod: 1s", "data_key.cryptoperiod: want"},
		{"  file: /etc/cardvault/policy.cedar", "  file: ''", "policy.file: has no value"},
		{"policy:\n  file: /etc/cardvault/policy.cedar\n", "", "policy.file: is missing"},
		{"  origin: cards.example.com/log", "  origin: cards log", "audit.origin: want a name without spaces"},
		{"  origin: cards.example.com/log", "  origin: a+b", "audit.origin: want a name without spaces"},
		{"previous_origin: cards.example.com/audit", "previous_origin: cards.example.com/log", "audit.previous_origin: want another"},
		{"previous_origin: cards.example.com/audit", "previous_origin: a b", "audit.previous_origin: want a name without"},
		{"retention: 8784h", "retention: 720h", "audit.retention: want 8784h"},
		{"  witness_policy: /etc/cardvault/witness.policy\n", "", "audit.witness_ca: want it together"},
		{"in_flight: 64", "in_flight: 0", "limits.in_flight: want 1 to 100000"},
		{"drain: 5s", "drain: 1h", "limits.drain: want"},
		{"level: warn", "level: loud", "log.level: want debug, info, warn, error"},

		{"  crl: /tls/crl.pem", "  crll: /tls/crl.pem", "line 9: tls.crll: unknown key"},
		{"log:", "logs:", "logs: unknown key"},
		{"log:\n", "log:\n  level: info\n", "log.level: is there twice"},
		{"listen: 0.0.0.0:7443", "listen: [a]", "listen: want one value"},
		{"listen: 0.0.0.0:7443", "listen:", "listen: has no value"},
		{"listen: 0.0.0.0:7443", "listen: !!str x", "listen: want one value"},
		{"listen: 0.0.0.0:7443", "listen: &a x", "listen: want one value"},
		{"metrics:\n  listen: 127.0.0.1:9100", "metrics: 5", "metrics: want a mapping"},
		{"log:\n  level: warn\n", "log: &l\n  level: warn\n", "log: want a mapping"},
		{"log:\n  level: warn\n", "log:\n  level: warn\n---\nlisten: x\n", "want one YAML document"},
		{"log:\n", "log: {\n", "not YAML"},
	} {
		if !strings.Contains(wholeConfig, c.replace) {
			t.Errorf("%q is not in the configuration", c.replace)
			continue
		}
		_, err := parseConfig([]byte(strings.Replace(wholeConfig, c.replace, c.by, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q for %q: got %v, want %q", c.by, c.replace, err, c.want)
		}
	}
}

func TestConfigErrorsTellAllAtOnce(t *testing.T) {
	_, err := parseConfig(nil)
	for _, field := range []string{
		"tls.cert", "tls.key", "tls.client_ca", "tls.trust_domain", "postgres", "transit.address", "transit.key", "transit.auth", "policy.file",
	} {
		if err == nil || !strings.Contains(err.Error(), field+": ") {
			t.Errorf("%s is not named in %v", field, err)
		}
	}
}

// A password that somebody put into the file itself stays there.
func TestConfigErrorsRepeatNoValue(t *testing.T) {
	const password = "hunter2-hunter2"
	for _, text := range []string{
		"listen: [" + password + "]", password, "- " + password, "log: {level: " + password + "}", "log: {" + password + ": x}",
		"postgres: {port: " + password + "}", "transit: {address: 'https://x:" + password + "@h'}", "a: *" + password,
		"key_cache: {max_age: " + password + "}", "tls: {trust_domain: '" + password + "!'}", "listen: \"\\q" + password, "postgres: {ssl_mode: " + password + "}",
		"listen: " + password,
	} {
		_, err := parseConfig([]byte(text))
		if err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestConfigLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"/run/postgresql": true, "127.0.0.1": true, "::1": true, "localhost": true,
		"127.0.0.1.example.com": false, "10.0.0.1": false, "": false,
	} {
		c := postgresConfig{Host: host, SSLMode: "disable"}
		if got := c.checkTLS() == nil; got != want {
			t.Errorf("%q without TLS: taken %t, want %t", host, got, want)
		}
	}
}

// The configuration that operators start from.
func TestDeployedConfig(t *testing.T) {
	c, err := readConfig("../../deploy/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if c.Limits != defaults().Limits || c.Log != defaults().Log || c.KeyCache != defaults().KeyCache {
		t.Errorf("it says other defaults than there are: %+v", c)
	}
}

func TestReadConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cardvault.yaml")
	if _, err := readConfig(path); asExit(err).code != exitUsage {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte(leastConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readConfig(path); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("#", maxConfig+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readConfig(path); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a file without end: %v", err)
	}
}

// FuzzDecodeYAML holds the decoder against yaml.v3's own strict one: what ours
// takes, that one takes and reads the same way.
func FuzzDecodeYAML(f *testing.F) {
	f.Add([]byte(wholeConfig))
	f.Add([]byte(leastConfig))
	f.Add([]byte("log: {level: 1}"))
	f.Add([]byte("listen: ~"))
	f.Add([]byte("? listen\n: x"))
	f.Add([]byte("postgres: {port: 010}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var ours, theirs config
		if decodeYAML(text, &ours) != nil {
			return
		}
		d := yaml.NewDecoder(strings.NewReader(string(text)))
		d.KnownFields(true)
		if err := d.Decode(&theirs); err != nil && err.Error() != "EOF" {
			t.Fatalf("yaml refuses what was taken: %v", err)
		}
		if !reflect.DeepEqual(ours, theirs) {
			t.Fatalf("read differently:\n%+v\n%+v", ours, theirs)
		}
	})
}
