package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/transit"
	"github.com/cardvault/cardvault/vault/postgres"
)

func serveCommand() *cobra.Command {
	var (
		path         string
		migrateFirst bool
	)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the vault in production, on PostgreSQL and a transit key",
		Long: `Run the vault in production: rows in PostgreSQL, keys wrapped by a key of HashiCorp
Vault's or OpenBao's transit engine, callers known by their certificates. As many
replicas as you like on one database work as one service.

Certificates, revocation lists and policy are read again when they change, and at
once on SIGHUP; files that are refused leave the last good ones in use. SIGTERM
lets calls under way finish. The log is JSON on standard error.`,
		Example: `  cardvault serve --config /etc/cardvault/config.yaml
  cardvault serve --config /etc/cardvault/config.yaml --migrate`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := readConfig(path)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), c, migrateFirst, newLog(cmd.ErrOrStderr(), c.Log.level()))
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "configuration file, YAML")
	cmd.Flags().BoolVar(&migrateFirst, "migrate", false, "bring the database to this program's schema first")
	_ = cmd.MarkFlagRequired("config")
	return cmd
}

// serve is a server's life: keys → store → vault → server → serve → stop.
func serve(ctx context.Context, c config, migrateFirst bool, log *slog.Logger) (err error) {
	connString, err := c.Postgres.connString()
	if err != nil {
		return err
	}
	if migrateFirst {
		if err := migrate(ctx, connString, log); err != nil {
			return err
		}
	}
	kek, signer, err := openTransit(ctx, c, log)
	if err != nil {
		return err
	}
	defer kek.Close()
	store, err := postgres.Open(ctx, postgres.Config{ConnString: connString, MaxConns: int32(c.Postgres.MaxConns)}) //nolint:gosec // checked to be at most 1000
	if err != nil {
		return storeError(err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	b := backend{store: store, kek: kek, signer: signer}
	if c.Audit.PreviousOrigin != "" {
		if b.predecessor, err = newSigner(kek, c, c.Audit.PreviousOrigin); err != nil {
			return err
		}
	}
	s, err := newService(ctx, c, b, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	api, err := listen(ctx, "listen", c.Listen)
	if err != nil {
		return err
	}
	metrics, err := listen(ctx, "metrics.listen", c.Metrics.Listen)
	if err != nil {
		return errors.Join(err, api.Close())
	}
	log.InfoContext(ctx, "serving", slog.String("version", version()),
		slog.String("listen", api.Addr().String()), slog.String("metrics", metrics.Addr().String()))
	return s.run(ctx, api, metrics)
}

// listen takes an address; field is where the configuration has it.
func listen(ctx context.Context, field, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, failed("free the address, or choose another one", "%s: %w", field, err)
	}
	return l, nil
}

// firstRetry and lastRetry bound the pauses between looks at a transit server that
// does not answer.
const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// openTransit makes the KEK and the signer of the audit log, and does not return
// before both keys are found good. A key that is weak, missing or not allowed ends
// the start; a server that does not answer is waited for.
func openTransit(ctx context.Context, c config, log *slog.Logger) (*transit.KEK, *transit.Signer, error) {
	settings, err := c.Transit.settings()
	if err != nil {
		return nil, nil, usage("correct the configuration", "%w", err)
	}
	kek, err := transit.New(settings) //nolint:contextcheck // its session outlives this call and ends with Close
	if err != nil {
		return nil, nil, usage("correct the section transit", "%w", err)
	}
	signer, err := newSigner(kek, c, c.origin())
	if err != nil {
		kek.Close()
		return nil, nil, err
	}
	for _, check := range []func(context.Context) error{kek.Check, signer.Check} {
		if err := waitForKey(ctx, check, log, pause); err != nil {
			kek.Close()
			return nil, nil, err
		}
	}
	return kek, signer, nil
}

// newSigner makes the signer of the log that goes by an origin.
func newSigner(kek *transit.KEK, c config, origin string) (*transit.Signer, error) {
	signer, err := kek.Signer(transit.SignerConfig{Key: c.Audit.Key, Origin: origin, Clock: time.Now})
	if err != nil {
		return nil, usage("correct the section audit", "%w", err)
	}
	return signer, nil
}

// waitForKey asks check until it has an answer.
func waitForKey(ctx context.Context, check func(context.Context) error, log *slog.Logger, pause func(context.Context, time.Duration) error) error {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := check(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return &exitError{code: exitUnavailable, reason: "INTERRUPTED", err: errors.New("stopped before transit answered")}
		case !errors.Is(err, keyring.ErrUnavailable):
			return &exitError{code: exitFailed, reason: "KEK_REFUSED", err: err}
		}
		log.ErrorContext(ctx, "transit does not answer; not serving until it does",
			slog.Any("error", err), slog.String("retry_in", wait.String()))
		_ = pause(ctx, wait)
	}
}

// settings translates the configuration; the role id is read from its file.
func (c *transitConfig) settings() (transit.Config, error) {
	settings := transit.Config{Address: c.Address, CAFile: c.CA, Namespace: c.Namespace, Mount: c.Mount, Key: c.Key}
	settings.Auth.TokenFile = c.Auth.TokenFile
	if a := c.Auth.AppRole; a != (appRoleConfig{}) {
		role, err := readSecret("transit.auth.approle.role_id_file", a.RoleIDFile)
		if err != nil {
			return transit.Config{}, err
		}
		settings.Auth.AppRole = &transit.AppRole{RoleID: role, SecretIDFile: a.SecretIDFile, Mount: a.Mount}
	}
	if k := c.Auth.Kubernetes; k != (kubernetesConfig{}) {
		settings.Auth.Kubernetes = &transit.Kubernetes{Role: k.Role, JWTFile: k.TokenFile, Mount: k.Mount}
	}
	if t := c.Auth.Cert; t != (certAuthConfig{}) {
		settings.Auth.TLSCert = &transit.TLSCert{CertFile: t.Cert, KeyFile: t.Key, Role: t.Role, Mount: t.Mount}
	}
	return settings, nil
}

// newLog writes JSON lines.
func newLog(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}

// storeError tells a schema that needs work, and a database that refuses, from one
// that is out of reach: trying again helps with that alone.
func storeError(err error) error {
	if _, ok := errors.AsType[*postgres.SchemaError](err); ok {
		return &exitError{code: exitFailed, reason: "SCHEMA_VERSION", err: err}
	}
	if outOfReach(err) {
		return unavailable(fmt.Errorf("store: %w", err))
	}
	return &exitError{
		code: exitFailed, reason: "STORE_REFUSED", err: fmt.Errorf("store: %w", err),
		next: "see deploy/postgres/roles.sql for who connects as what: migrate as the owner of the tables, serve as cardvault_app",
	}
}

// outOfReach reports whether a database gave no answer, or one that says that it
// cannot work now.
func outOfReach(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if refused, ok := errors.AsType[*postgres.ServerError](err); ok {
		// PostgreSQL documentation, appendix A: connection exceptions, insufficient
		// resources, operator intervention, system errors.
		return slices.ContainsFunc([]string{"08", "53", "57", "58"}, func(class string) bool { return strings.HasPrefix(refused.Code, class) })
	}
	_, network := errors.AsType[net.Error](err)
	ended := func(target error) bool { return errors.Is(err, target) }
	return network || slices.ContainsFunc([]error{io.EOF, io.ErrUnexpectedEOF, context.DeadlineExceeded, context.Canceled}, ended)
}
