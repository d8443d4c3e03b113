package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cardvault/cardvault/crypto/devca"
	"github.com/cardvault/cardvault/crypto/localkek"
	"github.com/cardvault/cardvault/crypto/localsigner"
	"github.com/cardvault/cardvault/vault/sqlite"
)

func devCommand() *cobra.Command {
	var d dev
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run the whole vault on this machine, and watch it do its job (NOT FOR PRODUCTION)",
		Long: `Run the whole vault on this machine, with nothing else installed: rows in SQLite,
keys in a file, a certificate authority of its own. It serves on loopback and goes
through what a card vault does, as its clients would, explaining each step; then it
keeps serving. A second start goes on with the same cards.

It is NOT FOR PRODUCTION: whoever can read the folder has every card in it.`,
		Example: `  cardvault dev
  cardvault dev --once
  cardvault dev --dir /tmp/other --addr 127.0.0.1:0`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	cmd.Flags().StringVar(&d.dir, "dir", defaultDevDir, "folder for keys, certificates and cards")
	cmd.Flags().StringVar(&d.addr, "addr", "127.0.0.1:7443", "loopback address to serve on; port 0 takes a free one")
	cmd.Flags().BoolVar(&d.once, "once", false, "stop after the demonstration")
	return cmd
}

// dev is a vault for a laptop.
type dev struct {
	dir, addr string
	once      bool
}

// run is its life: folder → keys → store → service → demonstration → serve → stop.
func (d *dev) run(ctx context.Context, out io.Writer) (err error) {
	folder, err := openDevFolder(d.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	api, err := d.listen(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = api.Close() }() // where nothing came to serve it
	kek, err := folder.kek()
	if err != nil {
		return err
	}
	store, err := sqlite.Open(ctx, folder.path(devStore))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	logFile, err := os.OpenFile(folder.path(devLog), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, logFile.Close()) }()
	c := folder.config()
	signer, err := folder.signer(c.origin())
	if err != nil {
		return err
	}
	s, err := newService(ctx, c, backend{store: store, kek: kek, signer: signer}, newLog(logFile, slog.LevelInfo))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := folder.remember(devAddress, api.Addr().String()); err != nil {
		return err
	}
	return d.serve(ctx, s, folder, api, out)
}

// serve tells the story to whoever started it, through the server that it starts.
func (d *dev) serve(ctx context.Context, s *service, folder *devFolder, api net.Listener, out io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- s.run(ctx, api, nil) }()

	story := &story{out: out, folder: folder, addr: api.Addr().String()}
	err := story.tell(ctx)
	if !d.once && ctx.Err() != nil {
		err = nil // who stops it does not wait for its end
	}
	if !d.once && ctx.Err() == nil {
		if err != nil { // as with a policy that was edited since
			story.line("\n%s", asExit(err).line())
			err = nil
		}
		story.invite()
		select {
		case <-ctx.Done():
		case err := <-served:
			return err
		}
	}
	stop()
	return errors.Join(err, <-served)
}

// kek opens the key-encryption key, or makes one where nothing was wrapped yet.
func (d *devFolder) kek() (*localkek.KEK, error) {
	kek, err := localkek.Open(d.path(devKEK))
	if !errors.Is(err, os.ErrNotExist) {
		return kek, err
	}
	if _, err := os.Stat(d.path(devStore)); err == nil {
		return nil, failed("put it back, or remove the folder to begin anew", "%s is missing: without it the cards of the folder do not open", d.path(devKEK))
	}
	return localkek.Create(d.path(devKEK))
}

// signer opens the key of the audit log, or makes one where no log is. A log that is
// there under a lost key is refused by whoever verifies it: nothing is made anew.
func (d *devFolder) signer(origin string) (*localsigner.Signer, error) {
	signer, err := localsigner.Open(d.path(devSigner), origin)
	if errors.Is(err, os.ErrNotExist) {
		signer, err = localsigner.Create(d.path(devSigner), origin)
	}
	if err != nil {
		return nil, err
	}
	return signer, d.remember(devVerifier, signer.VerifierKey())
}

// listen takes the address, which must be this machine's alone: the keys to this
// vault lie in a folder.
func (d *dev) listen(ctx context.Context) (net.Listener, error) {
	host, _, err := net.SplitHostPort(d.addr)
	if err != nil || !isLoopback(host) {
		return nil, usage("give a loopback address, such as 127.0.0.1:7443", "--addr: not a loopback address")
	}
	api, err := new(net.ListenConfig).Listen(ctx, "tcp", d.addr)
	if err != nil {
		return nil, failed("stop what uses it, or take a free one with --addr 127.0.0.1:0", "--addr: %w", err)
	}
	return api, nil
}

// config is the configuration of a dev folder.
func (d *devFolder) config() config {
	c := defaults()
	c.TLS = tlsConfig{
		Cert: d.path(devServer + ".pem"), Key: d.path(devServer + ".key"),
		ClientCA: d.path(devca.CertFile), TrustDomain: demoTrustDomain,
	}
	c.Policy.File = d.path(devPolicy)
	return c
}

// program is how the person who started this can start it again.
func program() string {
	name := os.Args[0]
	if strings.Contains(name, "go-build") {
		return "go run ./cmd/cardvault"
	}
	if filepath.Base(name) == name {
		return name
	}
	if wd, err := os.Getwd(); err == nil {
		if short, err := filepath.Rel(wd, name); err == nil && !strings.HasPrefix(short, "..") && filepath.IsAbs(name) {
			return "./" + short
		}
	}
	return name
}

// quote puts a path into single quotes where a shell needs that.
func quote(word string) string {
	if word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:") == "" {
		return word
	}
	return fmt.Sprintf("'%s'", strings.ReplaceAll(word, "'", `'\''`))
}
