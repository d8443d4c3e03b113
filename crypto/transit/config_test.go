package transit_test

import (
	"strings"
	"testing"

	"github.com/cardvault/cardvault/crypto/transit"
)

func TestConfigIsChecked(t *testing.T) {
	certFile, keyFile, _ := clientCertificate(t)
	_, otherKey, _ := clientCertificate(t)
	token := transit.Auth{TokenFile: "/run/token"}
	complete := transit.Config{Address: "https://vault.example:8200", Key: "kek", Auth: token}
	tests := []struct {
		says string
		edit func(*transit.Config)
	}{
		{"address: must be an https URL", func(c *transit.Config) { c.Address = "" }},
		{"address: must be an https URL", func(c *transit.Config) { c.Address = "http://vault.example:8200" }},
		{"address: must be an https URL", func(c *transit.Config) { c.Address = "vault.example:8200" }},
		{"address: must be an https URL", func(c *transit.Config) { c.Address = "https://user:password@vault.example" }},
		{"mount: must be", func(c *transit.Config) { c.Mount = "transit/../sys" }},
		{"mount: must be", func(c *transit.Config) { c.Mount = "a//b" }},
		{"key: must be", func(c *transit.Config) { c.Key = "" }},
		{"key: must be", func(c *transit.Config) { c.Key = "a/b" }},
		{"key: must be", func(c *transit.Config) { c.Key = "a?b" }},
		{"key: must be", func(c *transit.Config) { c.Key = ".." }},
		{"namespace: must be", func(c *transit.Config) { c.Namespace = "a b" }},
		{"timeouts: must not", func(c *transit.Config) { c.Timeouts.Call = -1 }},
		{"timeouts: must not", func(c *transit.Config) { c.Timeouts.Attempt = -1 }},
		{"auth: 0 methods", func(c *transit.Config) { c.Auth = transit.Auth{} }},
		{"auth: 2 methods", func(c *transit.Config) { c.Auth.Kubernetes = &transit.Kubernetes{Role: "r"} }},
		{"AppRole: role id", func(c *transit.Config) { c.Auth = transit.Auth{AppRole: &transit.AppRole{SecretIDFile: "f"}} }},
		{"AppRole: secret id file", func(c *transit.Config) { c.Auth = transit.Auth{AppRole: &transit.AppRole{RoleID: "r"}} }},
		{"AppRole: mount", func(c *transit.Config) {
			c.Auth = transit.Auth{AppRole: &transit.AppRole{RoleID: "r", SecretIDFile: "f", Mount: ".."}}
		}},
		{"Kubernetes: role", func(c *transit.Config) { c.Auth = transit.Auth{Kubernetes: &transit.Kubernetes{}} }},
		{"Kubernetes: mount", func(c *transit.Config) {
			c.Auth = transit.Auth{Kubernetes: &transit.Kubernetes{Role: "r", Mount: "%2e"}}
		}},
		{"TLS certificate: key file", func(c *transit.Config) { c.Auth = transit.Auth{TLSCert: &transit.TLSCert{CertFile: certFile}} }},
		{"TLS certificate: cert", func(c *transit.Config) { c.Auth = transit.Auth{TLSCert: &transit.TLSCert{KeyFile: keyFile}} }},
		{"TLS certificate: mount", func(c *transit.Config) {
			c.Auth = transit.Auth{TLSCert: &transit.TLSCert{CertFile: certFile, KeyFile: keyFile, Mount: "?"}}
		}},
		{"TLS certificate: tls", func(c *transit.Config) {
			c.Auth = transit.Auth{TLSCert: &transit.TLSCert{CertFile: certFile, KeyFile: otherKey}}
		}},
		{"CA file: open", func(c *transit.Config) { c.CAFile = "/nonexistent/ca" }},
		{"CA file: no certificate in ", func(c *transit.Config) { c.CAFile = keyFile }},
	}
	for _, tt := range tests {
		cfg := complete
		tt.edit(&cfg)
		kek, err := transit.New(cfg)
		if err == nil {
			kek.Close()
			t.Errorf("accepted what should say %q", tt.says)
			continue
		}
		if !strings.HasPrefix(err.Error(), "transit: ") || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("says %q, want %q", err, tt.says)
		}
		if strings.Contains(err.Error(), "password") {
			t.Errorf("shows a password: %v", err)
		}
	}
}

// New calls nobody, so that a start does not fail because the server is late.
func TestNewCallsNobody(t *testing.T) {
	kek, err := transit.New(transit.Config{Address: "https://127.0.0.1:1", Key: "kek", Auth: transit.Auth{TokenFile: "/nonexistent"}})
	if err != nil {
		t.Fatal(err)
	}
	kek.Close()
}

func FuzzMount(f *testing.F) {
	for _, mount := range []string{"transit", "/team/transit/", "..", "a/../b", "a%2fb", "a?b", "a#b", "\x00"} {
		f.Add(mount)
	}
	f.Fuzz(func(t *testing.T, mount string) {
		kek, err := transit.New(transit.Config{
			Address: "https://127.0.0.1:1", Mount: mount, Key: "kek", Auth: transit.Auth{TokenFile: "/nonexistent"},
		})
		if err != nil {
			return
		}
		kek.Close()
		for part := range strings.SplitSeq(strings.Trim(mount, "/"), "/") {
			if part == ".." || part == "." || strings.ContainsAny(part, "?#%\\ \x00") {
				t.Errorf("accepted %q", mount)
			}
		}
	})
}
