package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/ledger"
	"github.com/cardvault/cardvault/vault/server"
	"github.com/cardvault/cardvault/vault/witness"
)

const (
	// policyInterval is how soon a changed policy is in force without a signal.
	policyInterval = 15 * time.Second
	// policyTimeout bounds the audit entry of a new policy.
	policyTimeout = 10 * time.Second
	// closeTimeout bounds the last audit entry.
	closeTimeout = 5 * time.Second
	// metricsTimeout bounds a scrape.
	metricsTimeout = 10 * time.Second
)

// service is a vault with its server: the same for serve and dev, which differ in
// where rows and keys are.
type service struct {
	config  config
	log     *slog.Logger
	metrics *server.Metrics
	vault   *vault.Vault
	server  *server.Server
	policy  *server.Watch
	// witnesses are nil where none are asked.
	witnesses *witness.Client
}

// backend is what a service stands on. It stays the caller's to close, after close.
type backend struct {
	store interface {
		vault.Store
		ledger.Store
	}
	kek    keyring.KEK
	signer ledger.Signer
	// predecessor is nil where the log was not restored.
	predecessor ledger.Keys
}

// newService puts a vault together.
func newService(ctx context.Context, c config, b backend, log *slog.Logger) (*service, error) {
	policy, err := readPolicy(c.Policy.File)
	if err != nil {
		told := *asExit(err)
		told.err = fmt.Errorf("policy.file: %w", told.err)
		return nil, &told
	}
	s := &service{config: c, log: log}
	if s.metrics, err = server.NewMetrics(); err != nil {
		return nil, err
	}
	record := ledger.Config{
		Store: b.store, Signer: b.signer, Predecessor: b.predecessor, Origin: c.origin(), Retention: c.Audit.Retention,
	}
	if s.witnesses, err = openWitnesses(&c.Audit, b.signer, log); err != nil {
		return nil, err
	}
	if s.witnesses != nil {
		record.Witnesses = s.witnesses
	}
	s.vault, err = vault.New(ctx, vault.Config{
		Store: b.store, KEK: b.kek, KeyMaxAge: c.KeyCache.MaxAge, DataCryptoperiod: c.DataKey.Cryptoperiod, Ledger: record,
		Policy: policy, Clock: time.Now, Log: log, Meter: s.metrics.Meter(),
	})
	if err != nil {
		return nil, unavailable(err)
	}
	if err := s.newServer(); err != nil { //nolint:contextcheck // the server outlives this call and ends with Stop
		return nil, errors.Join(err, s.closeVault(ctx))
	}
	return s, nil
}

func (s *service) newServer() error {
	c := s.config
	var err error
	s.server, err = server.New(server.Config{
		Vault: s.vault, TrustDomain: c.TLS.TrustDomain,
		CertFile: c.TLS.Cert, KeyFile: c.TLS.Key, ClientCAFile: c.TLS.ClientCA, CRLFile: c.TLS.CRL,
		MaxInFlight: c.Limits.InFlight, Clock: time.Now, Log: s.log, Metrics: s.metrics,
	})
	if err != nil {
		return usage("correct the files of the section tls", "tls: %w", err)
	}
	s.policy, err = server.NewWatch([]string{c.Policy.File}, func(contents [][]byte) error {
		policy, err := access.Parse(c.Policy.File, contents[0])
		if err == nil {
			err = s.setPolicy(policy)
		}
		return err
	})
	if err != nil {
		return usage("correct the policy", "policy.file: %w", err)
	}
	return nil
}

func (s *service) setPolicy(policy *access.Policy) error {
	ctx, cancel := context.WithTimeout(context.Background(), policyTimeout)
	defer cancel()
	if err := s.vault.SetPolicy(ctx, policy); err != nil {
		return err
	}
	digest := policy.Digest()
	s.log.Info("policy in force", slog.String("file", s.config.Policy.File), slog.String("sha256", hex.EncodeToString(digest[:])))
	return nil
}

// run serves until ctx ends or a listener fails, and then lets calls under way
// finish, for as long as the configuration gives them.
func (s *service) run(ctx context.Context, api, metrics net.Listener) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.server.Serve(api) })
	g.Go(func() error { return s.serveMetrics(ctx, metrics) })
	g.Go(func() error {
		s.policy.Run(ctx, policyInterval, s.log)
		return nil
	})
	g.Go(func() error {
		s.reloadOnSignal(ctx)
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		s.log.InfoContext(ctx, "stopping", slog.String("drain", s.config.Limits.Drain.String()))
		return s.stop(ctx)
	})
	return g.Wait()
}

// stop drains the server.
func (s *service) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Limits.Drain)
	defer cancel()
	return s.server.Stop(ctx)
}

// close ends the vault. What run let finish is committed by now.
func (s *service) close(ctx context.Context) error {
	return errors.Join(s.stop(ctx), s.closeVault(ctx)) // run has not stopped the server where it was never called
}

func (s *service) closeVault(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	err := s.vault.Close(ctx)
	if s.witnesses != nil {
		s.witnesses.Close()
	}
	return err
}

// reloadOnSignal looks at certificates and policy at every SIGHUP.
func (s *service) reloadOnSignal(ctx context.Context) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	defer signal.Stop(signals)
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
		}
		if err := errors.Join(s.server.Reload(), s.policy.Check()); err != nil {
			s.log.ErrorContext(ctx, "files refused, the last good ones stay in use", slog.Any("error", err))
			continue
		}
		s.log.InfoContext(ctx, "reloaded")
	}
}

// serveMetrics answers scrapes, and nothing else, until ctx ends. Without a
// listener it does nothing.
func (s *service) serveMetrics(ctx context.Context, listener net.Listener) error {
	if listener == nil {
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metrics.Handler())
	srv := &http.Server{
		Handler: mux, ReadTimeout: metricsTimeout, WriteTimeout: metricsTimeout, MaxHeaderBytes: 8 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

// unavailable is an error of something that the server cannot do without.
func unavailable(err error) error {
	return &exitError{code: exitUnavailable, next: "check that it runs and can be reached, then start again", err: err}
}
