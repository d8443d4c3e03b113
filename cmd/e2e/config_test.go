package e2e

import (
	"crypto/rand"
	"testing"
)

// settings are the parts of a configuration that stories change.
type settings struct {
	listen, postgres, auth, key, maxAge, drain, level, audit string
}

// setting changes one of them.
type setting func(*site, *settings)

// ownerOfTables is for migrate, and for serve with --migrate.
func ownerOfTables(s *site, c *settings) { c.postgres = "url_file: " + s.path("owner-url") }

// set changes a setting by name.
func (c *settings) set(name, value string) bool {
	field, ok := map[string]*string{
		"listen": &c.listen, "postgres": &c.postgres, "auth": &c.auth, "key": &c.key, "max_age": &c.maxAge, "drain": &c.drain, "level": &c.level,
	}[name]
	if ok {
		*field = value
	}
	return ok
}

func listenOn(address string) setting { return func(_ *site, c *settings) { c.listen = address } }
func logInBy(auth string) setting     { return func(_ *site, c *settings) { c.auth = auth } }
func keepKeysFor(age string) setting  { return func(_ *site, c *settings) { c.maxAge = age } }
func drainFor(time string) setting    { return func(_ *site, c *settings) { c.drain = time } }

// witnessedBy names a policy of witnesses.
func witnessedBy(policy string) setting {
	return func(_ *site, c *settings) { c.audit = "audit:\n  witness_policy: " + policy + "\n" }
}

// restoredAs names the log anew.
func restoredAs(origin, previous string) setting {
	return func(_ *site, c *settings) {
		c.audit = "audit:\n  origin: " + origin + "\n  previous_origin: " + previous + "\n"
	}
}

func logAt(level string) setting       { return func(_ *site, c *settings) { c.level = level } }
func storedAt(postgres string) setting { return func(_ *site, c *settings) { c.postgres = postgres } }

// config writes a configuration file and returns its path.
func (s *site) config(t testing.TB, changes ...setting) string {
	t.Helper()
	c := settings{
		listen: "127.0.0.1:0", postgres: "url_file: " + s.path("postgres-url"), auth: s.read(t, "transit-auth"),
		key: "cardvault", maxAge: "5m", drain: "20s", level: "info",
	}
	for _, change := range changes {
		change(s, &c)
	}
	return s.write(t, "config-"+rand.Text()[:8]+".yaml", `# An issuer's configuration
listen: `+c.listen+`
metrics:
  listen: 127.0.0.1:0
tls:
  cert: `+s.path("server.pem")+`
  key: `+s.path("server.key")+`
  client_ca: `+s.path("ca.pem")+`
  crl: `+s.path("crl.pem")+`
  trust_domain: `+trustDomain+`
postgres:
  `+c.postgres+`
transit:
  address: `+s.transit.Address+`
  ca: `+s.transit.CAFile+`
  key: `+c.key+`
  auth:
    `+c.auth+`
key_cache:
  max_age: `+c.maxAge+`
policy:
  file: `+s.path("policy.cedar")+`
limits:
  drain: `+c.drain+`
`+c.audit+`log:
  level: `+c.level+`
`)
}
