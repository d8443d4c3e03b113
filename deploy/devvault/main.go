// Command devvault runs the genuine HashiCorp Vault core, with its genuine HTTP API over TLS, as one small process for
// tests: a transit engine that can be sealed, stopped, paused and started again without containers.
//
// With -dev it is ready to use: initialised on its first start, unsealed, with a root token and an audit device.
// Without -dev it serves its storage as it finds it, which after a restart means sealed, as a production server would be.
//
// Once it answers it prints one line of JSON (see ready) on standard output, and nothing else there. It ends on SIGTERM
// or SIGINT, and with -stop-on-eof also when its standard input ends.
//
// It is for tests on loopback only. The unseal key and the root token lie in clear in its folder.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// options is the command line.
type options struct {
	dev       bool
	dir       string
	listen    string
	rootToken string
	storage   string
	stopOnEOF bool
}

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "devvault:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if o.stopOnEOF {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	return serve(ctx, o, os.Stdout)
}

func parse(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("devvault", flag.ContinueOnError)
	fs.BoolVar(&o.dev, "dev", false, "initialise if need be, unseal, and have a root token and an audit device")
	fs.StringVar(&o.dir, "dir", "", "`folder` for certificates, credentials, audit log and file storage (required)")
	fs.StringVar(&o.listen, "listen", "127.0.0.1:0", "`address` to listen on; port 0 picks a free one")
	fs.StringVar(&o.rootToken, "root-token", "", "with -dev, the root `token` to create on the first start (default a random one)")
	fs.StringVar(&o.storage, "storage", storageInmem, "`kind` of storage: inmem, or file, which keeps its data over restarts")
	fs.BoolVar(&o.stopOnEOF, "stop-on-eof", false, "stop when standard input ends, so as not to outlive the parent process")
	if err := fs.Parse(args); err != nil {
		return options{}, err
	}
	switch {
	case fs.NArg() > 0:
		return options{}, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case o.dir == "":
		return options{}, errors.New("-dir is required")
	case o.storage != storageInmem && o.storage != storageFile:
		return options{}, fmt.Errorf("-storage %q: want %s or %s", o.storage, storageInmem, storageFile)
	}
	return o, os.MkdirAll(o.dir, 0o700)
}
