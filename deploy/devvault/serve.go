package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/vault"
)

// ready is the line that tells the parent process where the server is and how to use it. Without -dev it has neither
// token nor key.
type ready struct {
	Address   string `json:"address"`
	CA        string `json:"ca"`
	AuditLog  string `json:"audit_log,omitempty"`
	RootToken string `json:"root_token,omitempty"`
	UnsealKey string `json:"unseal_key,omitempty"`
}

// serve runs the server until ctx is done, and then stops it cleanly.
func serve(ctx context.Context, o options, stdout io.Writer) (err error) {
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return err
	}
	tlsConfig, ca, err := serverTLS(o.dir)
	if err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	core, err := newCore(o)
	if err != nil {
		return fmt.Errorf("core: %w", err)
	}
	defer func() { err = errors.Join(err, core.Shutdown()) }()

	line := ready{CA: ca}
	if o.dev {
		if line, err = prepare(ctx, core, o, line); err != nil {
			return err
		}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	line.Address = "https://" + listener.Addr().String()

	server := &http.Server{
		Handler:           vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core}),
		TLSConfig:         tlsConfig,
		ReadHeaderTimeout: 10 * time.Second,
	}
	served := make(chan error, 1)
	go func() { served <- server.ServeTLS(listener, "", "") }()

	// The listener has been accepting since it was made: whoever reads the line can connect.
	if err := json.NewEncoder(stdout).Encode(line); err != nil {
		return errors.Join(err, server.Close())
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return stop(context.WithoutCancel(ctx), server)
	}
}

// prepare brings a -dev server to where it can be used, and completes the ready line.
func prepare(ctx context.Context, core *vault.Core, o options, line ready) (ready, error) {
	creds, err := openVault(ctx, core, o)
	if err != nil {
		return line, err
	}
	line.RootToken, line.UnsealKey = creds.RootToken, creds.UnsealKey
	line.AuditLog = filepath.Join(o.dir, auditFile)
	return line, nil
}

// stop lets running requests finish for a few seconds, and then cuts them off.
func stop(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "devvault: cutting off the last requests:", err)
		return server.Close()
	}
	return nil
}
