package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cardvault/cardvault/crypto/devca"
	"github.com/cardvault/cardvault/vault/vaulttest/pgtest"
)

// TestPostgreSQLOverTheNetwork serves from a database on another machine, as far as both can tell: over TCP, with the
// server's certificate verified and a password from a file.
func TestPostgreSQLOverTheNetwork(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Start(t)
	d := databaseOn(t, cluster.URL())
	s := newSiteOn(t, d)
	s.migrate(t)
	s.sql(t, "ALTER ROLE cardvault_app PASSWORD 'correct horse''s \"battery\" \\staple'")
	s.write(t, "postgres-password", `correct horse's "battery" \staple`)
	s.write(t, "wrong-password", "hunter2-hunter2")
	port := s.openToTheNetwork(t, cluster)
	reach := func(host, password, authority, more string) setting {
		return storedAt("{host: " + host + ", port: " + port + ", user: cardvault_app, database: " + s.name +
			", password_file: " + s.path(password) + ", ssl_root_cert: " + s.path(authority) + more + "}")
	}

	r := s.serve(t, reach("localhost", "postgres-password", "ca.pem", ""))
	r.as(t, "security").createRange(t, "debit", "90000000")
	r.as(t, "payments").mustReveal(t, r.as(t, "issuer").issue(t).GetToken())
	if n := s.encryptedSessions(t); n == 0 {
		t.Error("no session of the server is encrypted")
	}
	r.stop(t)

	other := newSite(t)
	s.write(t, "other-ca.pem", other.read(t, "ca.pem"))
	for name, refused := range map[string]struct {
		change setting
		says   string
	}{
		"another authority":   {reach("localhost", "postgres-password", "other-ca.pem", ""), "certificate"},
		"another name":        {reach("127.0.0.1", "postgres-password", "ca.pem", ""), "certificate"},
		"a wrong password":    {reach("localhost", "wrong-password", "ca.pem", ""), "password authentication failed"},
		"no TLS, and no lock": {reach("localhost", "postgres-password", "ca.pem", ", ssl_mode: disable"), "pg_hba.conf"},
	} {
		a := s.run(t, "serve", "--config", s.config(t, refused.change))
		if a.code == exitOK || !strings.Contains(a.stderr, refused.says) {
			t.Errorf("%s: exit code %d, %s", name, a.code, a.stderr)
		}
		if strings.Contains(a.stderr, "hunter2") || strings.Contains(a.stderr, "staple") {
			t.Errorf("%s: the password is shown", name)
		}
	}
}

// openToTheNetwork has the cluster listen on a port, with TLS and passwords alone, and returns the port.
func (s *site) openToTheNetwork(t testing.TB, cluster *pgtest.Cluster) string {
	t.Helper()
	_, port, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := s.ca.Issue(devca.Template{Hosts: []string{"localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := pair.Write(cluster.Dir(), "tls"); err != nil {
		t.Fatal(err)
	}
	giveTo(t, cluster.Dir(), "tls.pem", "tls.key")
	hba := filepath.Join(cluster.Dir(), "data", "pg_hba.conf")
	if err := os.WriteFile(hba, []byte("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\nhostssl all all ::1/128 scram-sha-256\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"ssl = on", "ssl_cert_file = '" + filepath.Join(cluster.Dir(), "tls.pem") + "'", "ssl_key_file = '" + filepath.Join(cluster.Dir(), "tls.key") + "'",
		"listen_addresses = 'localhost'", "port = " + port,
	} {
		s.sql(t, "ALTER SYSTEM SET "+statement)
	}
	cluster.Restart(t)
	s.admin += "&port=" + port // the socket's name has it too
	return port
}

// giveTo gives files of a folder to its owner, as whom the database runs.
func giveTo(t testing.TB, dir string, files ...string) {
	t.Helper()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("no owner")
	}
	for _, file := range files {
		if err := os.Chown(filepath.Join(dir, file), int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}

// encryptedSessions counts the server's sessions that are encrypted.
func (s *site) encryptedSessions(t testing.TB) int64 {
	t.Helper()
	return s.count(t, `SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
		WHERE usename = 'cardvault_app' AND ssl AND version IN ('TLSv1.2', 'TLSv1.3')`)
}
