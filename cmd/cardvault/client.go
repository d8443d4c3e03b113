package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

// connection is where a client verb calls and as whom, from its flags and the
// environment.
type connection struct {
	addr, ca, cert, key string
	as, dir             string
	timeout             time.Duration
	output              string
}

// register adds the flags that every client verb has.
func (c *connection) register(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&c.addr, "addr", "", "server, host:port (default $CARDVAULT_ADDR)")
	flags.StringVar(&c.ca, "ca", "", "PEM file of the CA that vouches for the server (default $CARDVAULT_CA)")
	flags.StringVar(&c.cert, "cert", "", "PEM file of the client's certificate (default $CARDVAULT_CERT)")
	flags.StringVar(&c.key, "key", "", "PEM file of the client's private key (default $CARDVAULT_KEY)")
	flags.StringVar(&c.as, "as", "", "demo principal of a cardvault dev folder, in place of the four above: "+strings.Join(demoNames(), ", "))
	flags.StringVar(&c.dir, "dev-dir", defaultDevDir, "the folder that --as looks in")
	flags.DurationVar(&c.timeout, "timeout", 30*time.Second, "how long one call may take")
	flags.StringVarP(&c.output, "output", "o", outputTable, "table or json")
	cmd.MarkFlagsMutuallyExclusive("as", "cert")
	cmd.MarkFlagsMutuallyExclusive("as", "key")
}

// session is an open connection with what a verb needs beside it.
type session struct {
	conn    *grpc.ClientConn
	out     printer
	timeout time.Duration
}

func (s *session) cards() cardvaultv1.CardServiceClient {
	return cardvaultv1.NewCardServiceClient(s.conn)
}

func (s *session) tokens() cardvaultv1.TokenServiceClient {
	return cardvaultv1.NewTokenServiceClient(s.conn)
}

func (s *session) binRanges() cardvaultv1.BinRangeServiceClient {
	return cardvaultv1.NewBinRangeServiceClient(s.conn)
}

func (s *session) keys() cardvaultv1.KeyServiceClient {
	return cardvaultv1.NewKeyServiceClient(s.conn)
}

func (s *session) audit() cardvaultv1.AuditServiceClient {
	return cardvaultv1.NewAuditServiceClient(s.conn)
}

// verb is the work of one client command.
type verb func(ctx context.Context, s *session, args []string) error

// run makes a cobra command's work of a verb that calls the server once.
func (c *connection) run(do verb) func(*cobra.Command, []string) error {
	return c.runLong(func(ctx context.Context, s *session, args []string) error {
		ctx, cancel := context.WithTimeout(ctx, s.timeout)
		defer cancel()
		return do(ctx, s, args)
	})
}

// runLong is run for a verb that bounds its calls itself.
func (c *connection) runLong(do verb) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		out, err := newPrinter(cmd.OutOrStdout(), c.output)
		if err != nil {
			return err
		}
		conn, err := c.dial()
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		return do(cmd.Context(), &session{conn: conn, out: out, timeout: c.timeout}, args)
	}
}

// dial prepares the connection; gRPC opens it at the first call.
func (c *connection) dial() (*grpc.ClientConn, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	config, err := clientTLS(c.ca, c.cert, c.key)
	if err != nil {
		return nil, err
	}
	return dialTLS(c.addr, config)
}

// complete fills what no flag says: from the dev folder with --as, or else from
// the environment.
func (c *connection) complete() error {
	if c.as != "" {
		return c.completeFromDev()
	}
	for _, field := range []struct {
		value     *string
		flag, env string
	}{
		{&c.addr, "--addr", "CARDVAULT_ADDR"},
		{&c.ca, "--ca", "CARDVAULT_CA"},
		{&c.cert, "--cert", "CARDVAULT_CERT"},
		{&c.key, "--key", "CARDVAULT_KEY"},
	} {
		if *field.value == "" {
			*field.value = os.Getenv(field.env)
		}
		if *field.value == "" {
			return usage("give "+field.flag+" or set "+field.env+"; beside a `cardvault dev`, give --as NAME",
				"no %s", field.flag)
		}
	}
	return nil
}

// dialTLS prepares a connection with a TLS configuration.
func dialTLS(addr string, config *tls.Config) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		return nil, usage("give --addr as host:port", "--addr: %w", err)
	}
	return conn, nil
}

// clientTLS reads a client's side of mTLS.
func clientTLS(ca, cert, key string) (*tls.Config, error) {
	roots, err := readCertPool(ca)
	if err != nil {
		return nil, usage("give the CA of the server with --ca", "CA: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, usage("give a certificate and its key with --cert and --key", "client certificate: %w", err)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		RootCAs:      roots,
		Certificates: []tls.Certificate{pair},
	}, nil
}

// readCertPool reads a PEM file of certificates.
func readCertPool(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate in PEM form", path)
	}
	return pool, nil
}
