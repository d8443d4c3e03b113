package transit

import (
	"cmp"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Config names a transit key and how to reach it.
type Config struct {
	// Address is the server's URL. It must be https: keys go over it.
	Address string
	// CAFile is a PEM file of the authorities that may sign the server's certificate.
	// Empty means the system's.
	CAFile string
	// Namespace is the namespace of the mount and of the login, for servers that have
	// them. Empty means none.
	Namespace string
	// Mount is the path of the transit engine, "transit" if empty.
	Mount string
	// Key is the name of the key in it.
	Key string

	Auth     Auth
	Timeouts Timeouts
}

// Timeouts bound the calls to the server. Zero means the default.
type Timeouts struct {
	// Call bounds a call with its repetitions, 2 s by default. A call is repeated
	// twice at most.
	Call time.Duration
	// Attempt bounds each step of one attempt (connect, handshake, wait for the
	// answer), 500 ms by default: long enough for a busy server, short enough that a
	// silent one leaves time for another attempt.
	Attempt time.Duration
}

const (
	defaultCall    = 2 * time.Second
	defaultAttempt = 500 * time.Millisecond
)

func (c Config) withDefaults() Config {
	c.Mount = pathOr(c.Mount, "transit")
	c.Namespace = strings.Trim(c.Namespace, "/")
	c.Auth = c.Auth.withDefaults()
	c.Timeouts.Call = cmp.Or(c.Timeouts.Call, defaultCall)
	c.Timeouts.Attempt = cmp.Or(c.Timeouts.Attempt, defaultAttempt)
	return c
}

// pathOr returns path without the slashes around it, or otherwise if it is empty.
func pathOr(path, otherwise string) string {
	return cmp.Or(strings.Trim(path, "/"), otherwise)
}

func (c *Config) validate() error {
	if u, err := url.Parse(c.Address); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return errors.New("transit: address: must be an https URL without a user")
	}
	if !isPath(c.Mount) {
		return errors.New("transit: mount: must be a path of letters, digits, '.', '_' and '-'")
	}
	if !isName(c.Key) {
		return errors.New("transit: key: must be a name of letters, digits, '.', '_' and '-'")
	}
	if c.Namespace != "" && !isPath(c.Namespace) {
		return errors.New("transit: namespace: must be a path of letters, digits, '.', '_' and '-'")
	}
	if c.Timeouts.Call < 0 || c.Timeouts.Attempt < 0 {
		return errors.New("transit: timeouts: must not be negative")
	}
	return c.Auth.validate()
}

// isName reports whether s can be the name of a key.
func isName(s string) bool { return isPath(s) && !strings.Contains(s, "/") }

// isPath reports whether s is a path in which no segment can be mistaken for
// another request: no "..", no query, no escape.
func isPath(s string) bool {
	segment := regexp.MustCompile(`^[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?$`)
	for part := range strings.SplitSeq(s, "/") {
		if !segment.MatchString(part) {
			return false
		}
	}
	return true
}
