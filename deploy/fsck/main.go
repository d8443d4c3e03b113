// Command fsck reads an exported log with the checker of Tessera, another
// implementation of C2SP tlog-tiles than cardvault's: it takes the checkpoint of the
// folder, computes every tile and the root from the entries, and compares. It says
// nothing and exits with 0 if all agree; with 1 it says what does not.
//
//	fsck -key FILE DIR
//
// FILE holds the log's verifier keys, one a line; lines that begin with # say nothing.
// One good signature is enough. A log whose oldest entries were dropped by retention
// does not pass: what is not there cannot be computed from.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
	"k8s.io/klog/v2"
)

func main() {
	// Tessera's log goes nowhere: what it finds comes back as an error.
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "fsck:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("fsck", flag.ContinueOnError)
	keyFile := flags.String("key", "", "file with the log's verifier key")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *keyFile == "" || flags.NArg() != 1 {
		return errors.New("usage: fsck -key FILE DIR")
	}
	var keys []note.Verifier
	text, err := os.ReadFile(*keyFile)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := note.NewVerifier(line)
		if err != nil {
			return fmt.Errorf("%s: %w", *keyFile, err)
		}
		keys = append(keys, key)
	}
	return check(context.Background(), keys, client.FileFetcher{Root: flags.Arg(0)})
}

// check returns what is wrong with a log, and nil if nothing is.
func check(ctx context.Context, keys []note.Verifier, log fsck.Fetcher) error {
	err := errors.New("no verifier key")
	for _, key := range keys {
		checkpoint, _, _, unsigned := client.FetchCheckpoint(ctx, log.ReadCheckpoint, key, key.Name())
		if err = unsigned; err == nil {
			return checkTree(ctx, key, checkpoint.Size, log)
		}
	}
	return err
}

// maxWorkers bounds what is read at once.
const maxWorkers = 1024

func checkTree(ctx context.Context, key note.Verifier, size uint64, log fsck.Fetcher) error {
	// A worker ends at the first tile that is wrong, and without workers Check would wait
	// for ever: there is one for each tile.
	workers := min(size/255+64, maxWorkers)
	return fsck.New(key.Name(), key, log, leafHashes, fsck.Opts{N: uint(workers)}).Check(ctx)
}

// leafHashes returns the hashes of the entries of a bundle.
func leafHashes(bundle []byte) ([][]byte, error) {
	var entries api.EntryBundle
	if err := entries.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	hashes := make([][]byte, 0, len(entries.Entries))
	for _, entry := range entries.Entries {
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(entry))
	}
	return hashes, nil
}
