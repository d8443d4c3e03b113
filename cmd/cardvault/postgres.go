package main

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// connString returns the connection string that the configuration means, password
// and all.
func (p *postgresConfig) connString() (string, error) {
	text, err := p.join()
	if err != nil {
		return "", usage("correct the configuration", "%w", err)
	}
	if err := checkPostgresTLS(text); err != nil {
		return "", usage("set sslmode=verify-full", "%w", err)
	}
	return text, nil
}

func (p *postgresConfig) join() (string, error) {
	if p.URLFile != "" {
		return readSecret("postgres.url_file", p.URLFile)
	}
	pairs := []struct{ key, value string }{
		{"host", p.Host},
		{"port", strconv.Itoa(cmp.Or(p.Port, 5432))},
		{"user", p.User},
		{"dbname", p.Database},
		{"sslmode", cmp.Or(p.SSLMode, "verify-full")},
		{"sslrootcert", p.SSLRootCert},
		{"sslcert", p.SSLCert},
		{"sslkey", p.SSLKey},
	}
	if p.PasswordFile != "" {
		password, err := readSecret("postgres.password_file", p.PasswordFile)
		if err != nil {
			return "", err
		}
		pairs = append(pairs, struct{ key, value string }{"password", password})
	}
	var parts []string
	for _, pair := range pairs {
		if pair.value != "" {
			parts = append(parts, pair.key+"='"+strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(pair.value)+"'")
		}
	}
	return strings.Join(parts, " "), nil
}

// maxSecret bytes are more than any password or id needs.
const maxSecret = 8 << 10

// readSecret reads a file of one line. Errors name the field and the file.
func readSecret(field, path string) (string, error) {
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return "", fmt.Errorf("%s: %w", field, err)
	}
	line := bytes.TrimRight(text, "\r\n")
	if len(line) == 0 || len(line) > maxSecret || bytes.ContainsAny(line, "\r\n\x00") {
		return "", fmt.Errorf("%s: %s: want one line", field, path)
	}
	return string(line), nil
}

// checkPostgresTLS refuses a connection over a network that would take any server
// for the right one: sealed PANs go over it, and audit entries.
func checkPostgresTLS(connString string) error {
	config, err := pgconn.ParseConfig(connString)
	if err != nil {
		return errors.New("postgres: not a connection string") // its error may quote it
	}
	if !verifies(config.Host, config.TLSConfig) {
		return errors.New("postgres: sslmode: the server would not be verified")
	}
	for _, fallback := range config.Fallbacks {
		if !verifies(fallback.Host, fallback.TLSConfig) {
			return errors.New("postgres: sslmode: the server would not be verified")
		}
	}
	return nil
}

// verifies reports whether a host is this machine, or has its certificate looked
// at. pgx verifies the chain itself for verify-ca, and skips what Go would do.
func verifies(host string, config *tls.Config) bool {
	if filepath.IsAbs(host) || isLoopback(host) {
		return true
	}
	return config != nil && (!config.InsecureSkipVerify || config.VerifyPeerCertificate != nil)
}
