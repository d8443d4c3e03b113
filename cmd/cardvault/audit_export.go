package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault/archive"
	"github.com/cardvault/cardvault/vault/audit"
)

// exportPause is how long export --follow waits before it asks a server again that
// went away.
const exportPause = time.Second

func auditExport(c *connection) *cobra.Command {
	var (
		trust  logTrust
		dir    string
		follow bool
	)
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the audit log to a folder that anybody can verify",
		Long: `Write the audit log to a folder: the signed checkpoint, the entries, and the tiles of the
Merkle tree over them, as C2SP tlog-tiles lays them out. Whoever has the folder and the
log's public key can verify it without a server: see cardvault audit verify.

A folder that was written before is continued: only what is new is read. The folder is
the log at its checkpoint at any time, also after a crash; it is not changed where the
server's log is shorter than the folder, or another. Exporting is for staff.`,
		Example: `  cardvault audit export --dir audit-log --log-key @log.pub --as staff
  cardvault audit export --dir audit-log --log-key @log.pub --follow --cert staff.pem --key staff.key`,
		Args: cobra.NoArgs,
	}
	cmd.RunE = c.runLong(func(ctx context.Context, s *session, _ []string) error {
		keys, _, err := trust.readRequired(c)
		if err != nil {
			return err
		}
		e, err := openExport(dir, keys)
		if err != nil {
			return exportError(dir, err)
		}
		e.session, e.follow, e.told = s, follow, cmd.ErrOrStderr()
		err = e.run(ctx)
		if err := errors.Join(err, e.Close()); err != nil {
			return exportError(dir, err)
		}
		return e.print(s.out)
	})
	trust.registerKey(cmd)
	cmd.Flags().StringVar(&dir, "dir", "", "the folder; it is made where there is none")
	cmd.Flags().BoolVar(&follow, "follow", false, "go on with every new checkpoint until interrupted")
	_ = cmd.MarkFlagRequired("dir")
	return cmd
}

// exporting is one run over a folder, which is locked meanwhile.
type exporting struct {
	*archive.Archive
	lock    *os.File
	session *session
	follow  bool
	told    io.Writer
	bar     *importBar

	dir   string
	began int64 // entries that were there before
}

// openExport opens a folder. The file to lock is there once it was opened, and what
// was read of it before it was locked may be old: so it is opened twice.
func openExport(dir, keys string) (*exporting, error) {
	a, err := archive.Open(dir, keys)
	if err != nil {
		return nil, err
	}
	if err := a.Close(); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, archive.KeysFile), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := lockFile(lock); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if a, err = archive.Open(dir, keys); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &exporting{Archive: a, lock: lock, dir: dir, began: a.Size()}, nil
}

// Close releases the folder.
func (e *exporting) Close() error { return errors.Join(e.Archive.Close(), e.lock.Close()) }

// run brings the folder to the server's checkpoint, or with follow on and on.
func (e *exporting) run(ctx context.Context) error {
	newest, err := e.newest(ctx)
	if err != nil {
		return err
	}
	// A log that was rolled back has nothing to read from here on, and would look as
	// if there were nothing new.
	if err := e.Append(audit.Batch{Checkpoint: newest.GetCheckpoint()}); err != nil {
		return err
	}
	e.bar = &importBar{}
	if !e.follow {
		e.bar = newImportBar(e.told, e.Expected(), e.began)
		if e.bar.tracker != nil {
			e.bar.tracker.UpdateMessage("entries")
		}
	}
	err = e.read(ctx)
	if e.follow && ctx.Err() != nil {
		err = nil // an interrupt is how it ends
	}
	e.bar.stop(err)
	return err
}

func (e *exporting) newest(ctx context.Context) (*cardvaultv1.GetCheckpointResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, e.session.timeout)
	defer cancel()
	return e.session.audit().GetCheckpoint(ctx, &cardvaultv1.GetCheckpointRequest{})
}

// read opens streams until all is there. The server ends a stream with the age of its
// connection, or when it stops.
func (e *exporting) read(ctx context.Context) error {
	for e.follow || e.Size() < e.Expected() {
		before := e.Size()
		err := e.receive(ctx)
		if err != nil && status.Code(err) != codes.Unavailable {
			return err
		}
		if e.follow {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(exportPause):
				continue
			}
		}
		if e.Size() > before {
			continue
		}
		if err != nil {
			return err
		}
		return failed("try again; if it lasts, tell the operators",
			"the server ended the log at entry %d, of %d that it signed", e.Size(), e.Expected())
	}
	return nil
}

// receive reads one stream.
func (e *exporting) receive(ctx context.Context) error {
	patience := e.session.timeout
	if e.follow {
		patience = 0
	}
	return readLog(ctx, e.session.audit(), e.Size(), e.follow, patience, func(batch audit.Batch) error {
		if err := e.Append(batch); err != nil {
			return err
		}
		e.bar.at(e.Size())
		return nil
	})
}

// exportAnswer is what was exported, as JSON.
type exportAnswer struct {
	Dir        string `json:"dir"`
	Size       int64  `json:"size"`
	New        int64  `json:"new"`
	Checkpoint string `json:"checkpoint"`
}

func (e *exporting) print(out printer) error {
	signed, size := e.Checkpoint()
	if out.json {
		text, err := json.Marshal(exportAnswer{e.dir, size, size - e.began, string(signed)})
		if err != nil {
			return failed("", "encode the answer: %w", err)
		}
		return out.lines(string(text))
	}
	return out.table(table.Row{"FOLDER", "ENTRIES", "NEW"}, table.Row{e.dir, size, size - e.began})
}

// exportError says what an archive's refusal means.
func exportError(dir string, err error) error {
	const another = "give another folder with --dir"
	switch {
	case errors.Is(err, errLocked):
		return failed("let the other one end, or "+another, "%s: another export writes it", dir)
	case errors.Is(err, archive.ErrNotArchive):
		return usage(another, "%s: %w", dir, err)
	case errors.Is(err, archive.ErrOtherLog):
		return usage(another+", or the key of that log with --log-key", "%s: %w", dir, err)
	case errors.Is(err, archive.ErrDamaged):
		return failed("find out what with cardvault audit verify; to begin anew, "+another, "%s: %w", dir, err)
	case errors.Is(err, archive.ErrRolledBack):
		return logBroken("LOG_ROLLED_BACK", "%w", err)
	case errors.Is(err, archive.ErrForked):
		return logBroken("LOG_FORKED", "%w", err)
	case errors.Is(err, archive.ErrGap), errors.Is(err, audit.ErrUnsigned), errors.Is(err, audit.ErrOrigin), errors.Is(err, audit.ErrCheckpoint):
		return notVerified("%w", err)
	default:
		return err
	}
}
