package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/server"
	"github.com/cardvault/cardvault/vault/ship"
)

func auditShip() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "ship",
		Short: "Follow the audit log and deliver it to files, syslog, Kafka or a webhook",
		Long: `Follow the audit log and deliver every entry to each sink of the configuration, at least
once and in order of index: files, syslog over TLS, Kafka, an HTTPS webhook; as JSON Lines,
OCSF or CEF. It is a process of its own, a client like any other, with a staff certificate:
it has no keys and no database.

Nothing is delivered that the log's key did not sign. A log that does not verify, or that is
another than was delivered so far, ends the process with the reason NOT_VERIFIED. Everything
else that fails is tried again for ever, and each sink on its own; a sink that fails or falls
behind is an alarm in the log and a metric. SIGTERM ends the process at once, and the next
start goes on where it was. The log is JSON on standard error.`,
		Example: `  cardvault audit ship --config /etc/cardvault/ship.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := readShipConfig(path)
			if err != nil {
				return err
			}
			return shipLog(cmd.Context(), c, newLog(cmd.ErrOrStderr(), c.Log.level()))
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "configuration file, YAML")
	_ = cmd.MarkFlagRequired("config")
	return cmd
}

// shipLog is a shipper's life: key → state → sinks → connection → ship.
func shipLog(ctx context.Context, c shipConfig, log *slog.Logger) (err error) {
	metrics, err := server.NewMetrics()
	if err != nil {
		return err
	}
	cfg := ship.Config{
		Folder: c.State, Lag: ship.Lag{Entries: int64(c.Alarm.Entries), Age: c.Alarm.Age},
		Clock: time.Now, Logger: log, Meter: metrics.Meter(),
	}
	if cfg.Keys, err = shipKeys(c.LogKeys); err != nil {
		return err
	}
	lock, err := lockShipState(c.State)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if cfg.Sinks, err = c.Sinks.open(cfg.Keys[0].Name()); err != nil {
		return usage("correct the section sinks", "%w", err)
	}
	defer func() { err = errors.Join(err, closeSinks(cfg.Sinks)) }()
	conn, err := c.Server.dial()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	cfg.Log = &shippedLog{cardvaultv1.NewAuditServiceClient(conn)}
	shipper, err := ship.New(cfg)
	if err != nil {
		return failed("put the former state back; with an empty folder everything is delivered again", "state: %w", err)
	}
	return runShipper(ctx, c, shipper, &service{log: log, metrics: metrics})
}

// runShipper ships and answers scrapes.
func runShipper(ctx context.Context, c shipConfig, shipper *ship.Shipper, s *service) error {
	scrapes, err := listen(ctx, "metrics.listen", c.Metrics.Listen)
	if err != nil {
		return err
	}
	s.log.InfoContext(ctx, "shipping", slog.String("version", version()),
		slog.String("server", c.Server.Address), slog.String("metrics", scrapes.Addr().String()))
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.serveMetrics(ctx, scrapes) })
	g.Go(func() error { return shipper.Run(ctx) })
	err = g.Wait()
	if errors.Is(err, ship.ErrForged) {
		return notVerified("%w", err)
	}
	return err
}

// shipKeys reads the log's keys.
func shipKeys(path string) ([]note.Verifier, error) {
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return nil, usage("name a file with the log's verifier key", "log_keys: %w", err)
	}
	keys, err := audit.ParseKeys(string(text))
	if err != nil {
		return nil, usage("put the log's verifier keys into the file, one a line", "log_keys: %w", err)
	}
	return keys, nil
}

// lockShipState keeps a second process away from the cursors.
func lockShipState(folder string) (*os.File, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, failed("choose a folder that this user may write to", "state: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, failed("choose a folder that this user may write to", "state: %w", err)
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(failed("wait for the other one to end", "state %s: %w", folder, err), f.Close())
	}
	return f, nil
}

// dial prepares the connection. The pings find out when the server's machine is
// gone: a stream may have nothing to say for hours.
func (s *shipServerConfig) dial() (*grpc.ClientConn, error) {
	config, err := s.TLS.client("server.tls")
	if err != nil {
		return nil, usage("correct the section server", "%w", err)
	}
	config.MinVersion = tls.VersionTLS13
	conn, err := grpc.NewClient(s.Address,
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		// Windows that do not grow bound what waits in memory for a sink that is slow.
		grpc.WithInitialWindowSize(1<<20), grpc.WithInitialConnWindowSize(4<<20),
	)
	if err != nil {
		return nil, usage("give server.address as host:port", "server.address: %w", err)
	}
	return conn, nil
}
