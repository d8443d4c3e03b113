package transit

import (
	"cmp"
	"errors"
	"fmt"
)

// Auth is how to log in: exactly one of its fields.
type Auth struct {
	// TokenFile is a file that holds a token. It is read for each call, so that an
	// agent may replace the token at any time.
	TokenFile  string
	AppRole    *AppRole
	Kubernetes *Kubernetes
	TLSCert    *TLSCert
}

// AppRole logs in with a role id and a secret id, which is read from its file at
// each login.
type AppRole struct {
	RoleID       string
	SecretIDFile string
	Mount        string // "approle" if empty
}

// Kubernetes logs in with a service account's token, which is read from its file at
// each login.
type Kubernetes struct {
	Role    string
	JWTFile string // where Kubernetes puts it, if empty
	Mount   string // "kubernetes" if empty
}

// TLSCert logs in with a client certificate, which is read from its files for each
// connection.
type TLSCert struct {
	CertFile string
	KeyFile  string
	Role     string // any role that the certificate fits, if empty
	Mount    string // "cert" if empty
}

// Where a pod finds the token of its service account.
const defaultJWTFile = "/var/run/secrets/kubernetes.io/serviceaccount/token"

func (a Auth) withDefaults() Auth {
	if a.AppRole != nil {
		own := *a.AppRole
		own.Mount = pathOr(own.Mount, "approle")
		a.AppRole = &own
	}
	if a.Kubernetes != nil {
		own := *a.Kubernetes
		own.Mount = pathOr(own.Mount, "kubernetes")
		own.JWTFile = cmp.Or(own.JWTFile, defaultJWTFile)
		a.Kubernetes = &own
	}
	if a.TLSCert != nil {
		own := *a.TLSCert
		own.Mount = pathOr(own.Mount, "cert")
		a.TLSCert = &own
	}
	return a
}

func (a *Auth) validate() error {
	given := 0
	for _, is := range []bool{a.TokenFile != "", a.AppRole != nil, a.Kubernetes != nil, a.TLSCert != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		return fmt.Errorf("transit: auth: %d methods given, want exactly one of token file, AppRole, Kubernetes and TLS certificate", given)
	}
	switch {
	case a.AppRole != nil:
		return a.AppRole.validate()
	case a.Kubernetes != nil:
		return a.Kubernetes.validate()
	case a.TLSCert != nil:
		return a.TLSCert.validate()
	}
	return nil
}

func (a *AppRole) validate() error {
	return errors.Join(
		required("AppRole: role id", a.RoleID), required("AppRole: secret id file", a.SecretIDFile),
		loginMount("AppRole", a.Mount))
}

func (k *Kubernetes) validate() error {
	return errors.Join(required("Kubernetes: role", k.Role), loginMount("Kubernetes", k.Mount))
}

func (t *TLSCert) validate() error {
	return errors.Join(
		required("TLS certificate: certificate file", t.CertFile), required("TLS certificate: key file", t.KeyFile),
		loginMount("TLS certificate", t.Mount))
}

func required(field, value string) error {
	if value == "" {
		return fmt.Errorf("transit: auth: %s is missing", field)
	}
	return nil
}

func loginMount(method, mount string) error {
	if !isPath(mount) {
		return fmt.Errorf("transit: auth: %s: mount: must be a path of letters, digits, '.', '_' and '-'", method)
	}
	return nil
}
