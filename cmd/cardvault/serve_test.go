package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/transit"
	"github.com/cardvault/cardvault/vault/postgres"
)

func TestWaitForKey(t *testing.T) {
	var log bytes.Buffer
	var waits []time.Duration
	answers := slices.Repeat([]error{fmt.Errorf("sealed: %w", keyring.ErrUnavailable)}, 7)
	err := waitForKey(t.Context(), func(context.Context) error {
		if len(answers) == 0 {
			return nil
		}
		defer func() { answers = answers[1:] }()
		return answers[0]
	}, newLog(&log, 0), func(_ context.Context, d time.Duration) error {
		waits = append(waits, d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, lastRetry, lastRetry}
	if diff := cmp.Diff(want, waits); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if n := strings.Count(log.String(), "transit does not answer"); n != len(want) || !strings.Contains(log.String(), "sealed") {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
}

func TestWaitForKeyEnds(t *testing.T) {
	for name, c := range map[string]struct {
		answer  error
		stopped bool
		reason  string
	}{
		"weak":    {transit.ErrWeakKey, false, "KEK_REFUSED"},
		"denied":  {fmt.Errorf("login: %w", keyring.ErrDenied), false, "KEK_REFUSED"},
		"stopped": {fmt.Errorf("down: %w", keyring.ErrUnavailable), true, "INTERRUPTED"},
	} {
		ctx, stop := context.WithCancel(t.Context())
		asked := 0
		err := waitForKey(ctx, func(context.Context) error {
			if asked++; c.stopped {
				stop()
			}
			return c.answer
		}, newLog(new(bytes.Buffer), 0), noPause)
		stop()
		if err == nil || asExit(err).reason != c.reason || asked != 1 {
			t.Errorf("%s: %v after %d questions", name, err, asked)
		}
		if !c.stopped && !errors.Is(err, c.answer) {
			t.Errorf("%s: lost the cause: %v", name, err)
		}
	}
}

// What the configuration calls a thing reaches the KEK under that name.
func TestTransitSettings(t *testing.T) {
	role := filepath.Join(t.TempDir(), "role")
	writeFile(t, role, []byte("role-id\n"))
	base := transitConfig{Address: "a", CA: "b", Mount: "c", Key: "d", Namespace: "e"}
	want := transit.Config{Address: "a", CAFile: "b", Mount: "c", Key: "d", Namespace: "e"}
	for name, c := range map[string]struct {
		auth authConfig
		want transit.Auth
	}{
		"token":      {authConfig{TokenFile: "t"}, transit.Auth{TokenFile: "t"}},
		"approle":    {authConfig{AppRole: appRoleConfig{Mount: "m", RoleIDFile: role, SecretIDFile: "s"}}, transit.Auth{AppRole: &transit.AppRole{RoleID: "role-id", SecretIDFile: "s", Mount: "m"}}},
		"kubernetes": {authConfig{Kubernetes: kubernetesConfig{Mount: "m", Role: "r", TokenFile: "t"}}, transit.Auth{Kubernetes: &transit.Kubernetes{Role: "r", JWTFile: "t", Mount: "m"}}},
		"cert":       {authConfig{Cert: certAuthConfig{Mount: "m", Role: "r", Cert: "c", Key: "k"}}, transit.Auth{TLSCert: &transit.TLSCert{CertFile: "c", KeyFile: "k", Role: "r", Mount: "m"}}},
	} {
		in, out := base, want
		in.Auth, out.Auth = c.auth, c.want
		got, err := in.settings()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(out, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	base.Auth.AppRole.RoleIDFile = filepath.Join(t.TempDir(), "none")
	if _, err := base.settings(); err == nil || !strings.HasPrefix(err.Error(), "transit.auth.approle.role_id_file: ") {
		t.Errorf("no role id file: %v", err)
	}
}

func TestStoreError(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		code   exitCode
		reason string
	}{
		"schema":             {&postgres.SchemaError{Found: 9, Known: 1}, exitFailed, "SCHEMA_VERSION"},
		"no rights":          {fmt.Errorf("migrate: %w", &postgres.ServerError{Code: "42501"}), exitFailed, "STORE_REFUSED"},
		"no schema to be in": {&postgres.ServerError{Code: "3F000"}, exitFailed, "STORE_REFUSED"},
		"a setting":          {errors.New("postgres: synchronous_commit is off"), exitFailed, "STORE_REFUSED"},
		"cannot connect":     {new(pgconn.ConnectError), exitUnavailable, ""},
		"shutting down":      {fmt.Errorf("lost: %w", &postgres.ServerError{Code: "57P01"}), exitUnavailable, ""},
		"full":               {&postgres.ServerError{Code: "53300"}, exitUnavailable, ""},
		"cut":                {fmt.Errorf("lost: %w", io.ErrUnexpectedEOF), exitUnavailable, ""},
		"refused connection": {&net.OpError{Op: "dial", Err: errors.New("refused")}, exitUnavailable, ""},
	} {
		err := storeError(c.err)
		if got := asExit(err); got.code != c.code || got.reason != c.reason || got.next == "" && c.reason != "SCHEMA_VERSION" {
			t.Errorf("%s: exit code %d, reason %q, next %q", name, got.code, got.reason, got.next)
		}
		if !errors.Is(err, c.err) {
			t.Errorf("%s: lost the cause: %v", name, err)
		}
	}
}
