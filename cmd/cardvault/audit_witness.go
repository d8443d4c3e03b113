package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/vault/server"
	"github.com/cardvault/cardvault/vault/witness"
)

// witnessFlags is the command line of a witness.
type witnessFlags struct {
	name, keyFile, stateFile string
	logs                     []string
	listen                   string
	tlsCert, tlsKey          string
}

func auditWitness() *cobra.Command {
	var f witnessFlags
	cmd := &cobra.Command{
		Use:   "witness",
		Short: "Run a witness, so that a log cannot show different people different trees",
		Long: `Run a witness (C2SP tlog-witness): it remembers the last tree of each log that it vouched
for, and signs the next one only where a proof shows that it extends that tree. It needs no
connection to a vault's server or database: whoever runs it should be another team.

With --name the first start makes the key and the state. Every start prints, on standard
output, the policy lines that the log's operator needs. The log is JSON on standard error.
SIGTERM lets calls under way finish.

The state is the witness's memory. Never start it with an older copy: it would vouch for a log
that was rolled back. Where the state is lost, the key is worthless too: make a new witness.

Answers are signed, so callers need no TLS to trust them; but cardvault asks over plain HTTP
on a loopback address alone. Give --tls-cert and --tls-key, or put a proxy in front. The
certificate is read again when its files change.`,
		Example: `  cardvault audit witness --name witness.example/cards --key witness.key --state witness.state \
    --log @audit.pub --listen :8443 --tls-cert witness.pem --tls-key witness-key.pem
  cardvault audit witness --key witness.key --state witness.state --log "$VKEY" --listen 127.0.0.1:8080`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), printer{w: cmd.OutOrStdout()}, newLog(cmd.ErrOrStderr(), slog.LevelInfo))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "name of the witness, a URL without a scheme; makes its key and state where there are none")
	flags.StringVar(&f.keyFile, "key", "", "file of the witness's key")
	flags.StringVar(&f.stateFile, "state", "", "file of the witness's memory")
	flags.StringArrayVar(&f.logs, "log", nil, "verifier key of a log, or @FILE of its keys, one a line; once for each log")
	flags.StringVar(&f.listen, "listen", "", "address to answer on, host:port")
	flags.StringVar(&f.tlsCert, "tls-cert", "", "PEM file of the server's certificate")
	flags.StringVar(&f.tlsKey, "tls-key", "", "PEM file of its private key")
	cmd.MarkFlagsRequiredTogether("tls-cert", "tls-key")
	for _, required := range []string{"key", "state", "log", "listen"} {
		_ = cmd.MarkFlagRequired(required)
	}
	return cmd
}

// run is a witness's life: logs → key → state → listener → serve → stop.
func (f *witnessFlags) run(ctx context.Context, out printer, log *slog.Logger) (err error) {
	logs, err := readWitnessedLogs(f.logs)
	if err != nil {
		return err
	}
	key, err := f.key()
	if err != nil {
		return err
	}
	state, err := witness.OpenState(f.stateFile, key, logs)
	if err != nil {
		return witnessStateError(err)
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	s, err := witness.NewServer(witness.Config{Key: key, Logs: logs, State: state, Clock: time.Now, Log: log})
	if err != nil {
		return usage("give each key of a log once with --log", "%w", err)
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	l, err := f.listener(ctx, &serving, log)
	if err != nil {
		return err
	}
	if err := out.lines(f.policy(key, l.Addr())...); err != nil {
		return errors.Join(err, l.Close())
	}
	log.InfoContext(ctx, "serving", slog.String("version", version()), slog.String("listen", l.Addr().String()),
		slog.String("witness", key.VerifierKey()), slog.Int("log_keys", len(logs)))
	err = s.Serve(ctx, l)
	log.InfoContext(ctx, "stopped")
	return err
}

// readWitnessedLogs reads the keys of all logs.
func readWitnessedLogs(flags []string) ([]note.Verifier, error) {
	var all []note.Verifier
	for _, flag := range flags {
		_, keys, err := readLogKeys("--log", flag)
		if err != nil {
			return nil, err
		}
		all = append(all, keys...)
	}
	return all, nil
}

// key reads the witness's key. Where there is none and the witness has a name, it is
// made, with its state.
func (f *witnessFlags) key() (*witness.Key, error) {
	key, err := witness.ReadKey(f.keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		if err := f.create(); err != nil {
			return nil, err
		}
		key, err = witness.ReadKey(f.keyFile)
	}
	switch {
	case errors.Is(err, witness.ErrExposed):
		return nil, failed("run chmod 600 on it, or make a new witness if others may have read it", "%w", err)
	case err != nil:
		return nil, failed("give the witness's key file with --key", "%w", err)
	case f.name != "" && f.name != key.Name():
		return nil, usage("leave --name out, or give other files for another witness", "--name: the key is that of %s", key.Name())
	}
	return key, nil
}

func (f *witnessFlags) create() error {
	if f.name == "" {
		return usage("give --name NAME to make a new witness, such as witness.example/cards", "there is no key file %s", f.keyFile)
	}
	err := witness.Create(f.keyFile, f.stateFile, f.name)
	switch {
	case errors.Is(err, witness.ErrName):
		return usage("give --name as witness.example/cards", "--name: %w", err)
	case errors.Is(err, fs.ErrExist):
		return failed("put the key of this state back, or give a new place with --state", "make a witness: %w", err)
	case err != nil:
		return witnessStateError(err)
	}
	return nil
}

// witnessStateError says what can be done about a state that cannot be used.
func witnessStateError(err error) error {
	switch {
	case errors.Is(err, witness.ErrInUse):
		return failed("end the other witness, or give another --state", "%w", err)
	case errors.Is(err, fs.ErrNotExist):
		return failed("check --state; if the file is lost make a new witness, with a new key: this one would vouch for a log that was rolled back", "%w", err)
	case errors.Is(err, witness.ErrState):
		return failed("check that --state and --key belong together; if the file is damaged make a new witness, with a new key", "%w", err)
	default:
		return failed("", "%w", err)
	}
}

// listener answers with TLS where there is a certificate, and reads that again when
// its files change, until ctx ends.
func (f *witnessFlags) listener(ctx context.Context, watching *sync.WaitGroup, log *slog.Logger) (net.Listener, error) {
	var config *tls.Config
	if f.tlsCert != "" {
		var pair atomic.Pointer[tls.Certificate]
		files, err := server.NewWatch([]string{f.tlsCert, f.tlsKey}, func(contents [][]byte) error {
			fresh, err := tls.X509KeyPair(contents[0], contents[1])
			if err == nil {
				pair.Store(&fresh)
			}
			return err
		})
		if err != nil {
			return nil, usage("give a certificate and its key with --tls-cert and --tls-key", "TLS: %w", err)
		}
		watching.Go(func() { files.Run(ctx, policyInterval, log) })
		config = &tls.Config{
			MinVersion:     tls.VersionTLS13,
			NextProtos:     []string{"http/1.1"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.Load(), nil },
		}
	}
	l, err := listen(ctx, "--listen", f.listen)
	if err != nil || config == nil {
		return l, err
	}
	return tls.NewListener(l, config), nil
}

// policy returns what the operator of a log puts into its policy (C2SP tlog-policy).
func (f *witnessFlags) policy(key *witness.Key, addr net.Addr) []string {
	host, port, _ := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "HOST"
	}
	scheme := "https"
	if f.tlsCert == "" && isLoopback(host) {
		scheme = "http"
	}
	return []string{
		"# For the log's witness policy. Put the URL in that the log reaches this witness under.",
		fmt.Sprintf("witness %s %s %s://%s/", key.Name(), key.VerifierKey(), scheme, net.JoinHostPort(host, port)),
		"quorum " + key.Name(),
	}
}
