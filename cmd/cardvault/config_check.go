package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// check refuses what is missing or makes no sense, everything at once. Each error
// begins with the path of its field and does not repeat the value.
func (c *config) check() error {
	return errors.Join(
		hostPort("listen", c.Listen),
		hostPort("metrics.listen", c.Metrics.Listen),
		c.TLS.check(),
		c.Postgres.check(),
		c.Transit.check(),
		between("key_cache.max_age", c.KeyCache.MaxAge, 10*time.Second, 24*time.Hour),
		between("data_key.cryptoperiod", c.DataKey.Cryptoperiod, time.Hour, 2*365*24*time.Hour),
		required("policy.file", c.Policy.File),
		c.Audit.check(),
		numberBetween("limits.in_flight", c.Limits.InFlight, 1, 100_000),
		between("limits.drain", c.Limits.Drain, time.Second, 10*time.Minute),
		c.Log.check(),
	)
}

func (t *tlsConfig) check() error {
	err := errors.Join(
		required("tls.cert", t.Cert),
		required("tls.key", t.Key),
		required("tls.client_ca", t.ClientCA),
		required("tls.trust_domain", t.TrustDomain),
	)
	if _, bad := spiffeid.TrustDomainFromString(t.TrustDomain); bad != nil && t.TrustDomain != "" {
		err = errors.Join(err, errors.New("tls.trust_domain: want a SPIFFE trust domain such as cards.example.com"))
	}
	return err
}

func (p *postgresConfig) check() error {
	limits := numberBetween("postgres.max_conns", p.MaxConns, 0, 1000)
	parts := *p
	parts.URLFile, parts.MaxConns = "", 0
	if p.URLFile != "" {
		if parts != (postgresConfig{}) {
			return errors.Join(limits, errors.New("postgres.url_file: want either it or the other keys, not both"))
		}
		return limits
	}
	if parts == (postgresConfig{}) {
		return errors.Join(limits, errors.New("postgres: want url_file, or host, user and database"))
	}
	return errors.Join(
		limits,
		required("postgres.host", p.Host),
		required("postgres.user", p.User),
		required("postgres.database", p.Database),
		numberBetween("postgres.port", p.Port, 0, 65535),
		p.checkTLS(),
		together("postgres.ssl_cert", p.SSLCert, "postgres.ssl_key", p.SSLKey),
	)
}

// checkTLS refuses modes that take any server for the right one.
func (p *postgresConfig) checkTLS() error {
	switch p.SSLMode {
	case "", "verify-full", "verify-ca":
		return nil
	case "disable":
		if filepath.IsAbs(p.Host) || isLoopback(p.Host) {
			return nil
		}
		return errors.New("postgres.ssl_mode: disable is for a Unix socket or a loopback address alone")
	default:
		return errors.New("postgres.ssl_mode: want verify-full, verify-ca or disable")
	}
}

func (t *transitConfig) check() error {
	return errors.Join(
		t.checkAddress(),
		required("transit.mount", t.Mount),
		required("transit.key", t.Key),
		t.Auth.check(),
	)
}

func (t *transitConfig) checkAddress() error {
	if t.Address == "" {
		return required("transit.address", "")
	}
	u, err := url.Parse(t.Address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return errors.New("transit.address: want https://host:port")
	}
	return nil
}

func (a *authConfig) check() error {
	var found []error
	methods := 0
	if a.TokenFile != "" {
		methods++
	}
	if a.AppRole != (appRoleConfig{}) {
		methods++
		found = append(found, required("transit.auth.approle.role_id_file", a.AppRole.RoleIDFile),
			required("transit.auth.approle.secret_id_file", a.AppRole.SecretIDFile))
	}
	if a.Kubernetes != (kubernetesConfig{}) {
		methods++
		found = append(found, required("transit.auth.kubernetes.role", a.Kubernetes.Role))
	}
	if a.Cert != (certAuthConfig{}) {
		methods++
		found = append(found, required("transit.auth.cert.cert", a.Cert.Cert), required("transit.auth.cert.key", a.Cert.Key))
	}
	if methods != 1 {
		return errors.New("transit.auth: want exactly one of token_file, approle, kubernetes and cert")
	}
	return errors.Join(found...)
}

func (a *auditConfig) check() error {
	err := errors.Join(
		required("audit.key", a.Key),
		between("audit.retention", a.Retention, 366*24*time.Hour, 100*365*24*time.Hour),
	)
	for path, origin := range map[string]string{"audit.origin": a.Origin, "audit.previous_origin": a.PreviousOrigin} {
		// C2SP signed-note, "Format": a key name has no Unicode space and no plus.
		if strings.ContainsFunc(origin, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == '+' }) {
			err = errors.Join(err, errors.New(path+": want a name without spaces and plus signs, such as cards.example.com/audit"))
		}
	}
	if a.PreviousOrigin != "" && a.PreviousOrigin == a.Origin {
		err = errors.Join(err, errors.New("audit.previous_origin: want another name than audit.origin"))
	}
	if a.WitnessCA != "" && a.WitnessPolicy == "" {
		err = errors.Join(err, errors.New("audit.witness_ca: want it together with audit.witness_policy"))
	}
	return err
}

// level returns the log level, which check has found good.
func (l *logConfig) level() slog.Level {
	return []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}[max(0, slices.Index(logLevels(), l.Level))]
}

func (l *logConfig) check() error {
	if !slices.Contains(logLevels(), l.Level) {
		return errors.New("log.level: want " + strings.Join(logLevels(), ", "))
	}
	return nil
}

func logLevels() []string { return []string{"debug", "info", "warn", "error"} }

func required(path, value string) error {
	if value == "" {
		return errors.New(path + ": is missing")
	}
	return nil
}

func together(pathA, a, pathB, b string) error {
	if (a == "") != (b == "") {
		return errors.New(pathA + ": want it together with " + pathB)
	}
	return nil
}

func hostPort(path, value string) error {
	_, port, err := net.SplitHostPort(value)
	if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
		return errors.New(path + ": want host:port, such as 127.0.0.1:7443 or :7443")
	}
	return nil
}

func between(path string, value, least, most time.Duration) error {
	if value < least || value > most {
		return fmt.Errorf("%s: want %s to %s", path, least, most)
	}
	return nil
}

func numberBetween(path string, value, least, most int) error {
	if value < least || value > most {
		return fmt.Errorf("%s: want %d to %d", path, least, most)
	}
	return nil
}

// isLoopback reports whether a host is this machine itself.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
