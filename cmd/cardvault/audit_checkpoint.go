package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault/audit"
)

func auditCheckpoint(c *connection) *cobra.Command {
	var trust logTrust
	cmd := &cobra.Command{
		Use:   "checkpoint",
		Short: "Print the newest signed checkpoint of the audit log",
		Long: `Print the newest signed checkpoint of the audit log: how many entries it has, and the
root of the Merkle tree over them. Keep it: with --since a later run proves that nothing
was taken away or changed since.`,
		Example: `  cardvault audit checkpoint --as auditor > today.checkpoint
  cardvault audit checkpoint --log-key @log.pub --since yesterday.checkpoint --as auditor`,
		Args: cobra.NoArgs,
		RunE: c.run(func(ctx context.Context, s *session, _ []string) error {
			keys, err := trust.keys(c)
			if err != nil {
				return err
			}
			answer, err := s.audit().GetCheckpoint(ctx, &cardvaultv1.GetCheckpointRequest{})
			if err != nil {
				return err
			}
			if keys != nil {
				if err := trust.verify(ctx, s, answer.GetCheckpoint(), keys); err != nil {
					return err
				}
			}
			if s.out.json {
				return s.out.document(answer)
			}
			_, err = s.out.w.Write(answer.GetCheckpoint())
			return err
		}),
	}
	trust.register(cmd)
	return cmd
}

// logTrust is what a command verifies the log's answers with.
type logTrust struct {
	key, since string
}

func (t *logTrust) register(cmd *cobra.Command) {
	t.registerKey(cmd)
	cmd.Flags().StringVar(&t.since, "since", "", "file of an older checkpoint: prove that the log still begins with all it had then; needs --log-key")
}

func (t *logTrust) registerKey(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.key, "log-key", "", "verifier key of the log, or @FILE of keys, one a line (default with --as: the dev folder's)")
}

// keys returns the log's verifier keys; none where nothing names them. The folder of
// a cardvault dev has the key of its log.
func (t *logTrust) keys(c *connection) ([]note.Verifier, error) {
	_, keys, err := t.read(c)
	return keys, err
}

// read is keys with the text that they are read from.
func (t *logTrust) read(c *connection) (string, []note.Verifier, error) {
	key := t.key
	if key == "" && c != nil && c.as != "" {
		key = remembered(c.dir, devVerifier)
	}
	switch {
	case key == "" && t.since != "":
		return "", nil, usage(nextLogKey("--log-key"), "--since: an older checkpoint says nothing without a key")
	case key == "":
		return "", nil, nil
	}
	return readLogKeys("--log-key", key)
}

// readLogKeys reads a log's verifier keys from a flag: the text of them, or @FILE. It
// returns the text, too.
func readLogKeys(flag, value string) (string, []note.Verifier, error) {
	if path, ok := strings.CutPrefix(value, "@"); ok {
		content, err := os.ReadFile(filepath.Clean(path))
		if err != nil {
			return "", nil, usage(nextLogKey(flag), flag+": %w", err)
		}
		value = string(content)
	}
	keys, err := audit.ParseKeys(value)
	if err != nil {
		return "", nil, usage(nextLogKey(flag), flag+": %w", err)
	}
	return value, keys, nil
}

func nextLogKey(flag string) string {
	return "give the log's verifier key with " + flag + ", as text or as @FILE"
}

// required is keys for a command that does nothing without.
func (t *logTrust) required(c *connection) ([]note.Verifier, error) {
	_, keys, err := t.readRequired(c)
	return keys, err
}

func (t *logTrust) readRequired(c *connection) (string, []note.Verifier, error) {
	text, keys, err := t.read(c)
	if err == nil && keys == nil {
		err = usage(nextLogKey("--log-key"), "no --log-key")
	}
	return text, keys, err
}

// verify checks a checkpoint's signature, and that the log has not been cut or
// rewritten since the older one.
func (t *logTrust) verify(ctx context.Context, s *session, signed []byte, keys []note.Verifier) error {
	newer, err := audit.OpenCheckpoint(signed, keys...)
	if err != nil {
		return notVerified("the server's checkpoint: %w", err)
	}
	return t.verifySince(ctx, s, newer, keys)
}

func (t *logTrust) verifySince(ctx context.Context, s *session, newer audit.Checkpoint, keys []note.Verifier) error {
	if t.since == "" {
		return nil
	}
	const next = "give a file with a checkpoint of this log, as cardvault audit checkpoint prints it"
	content, err := os.ReadFile(filepath.Clean(t.since))
	if err != nil {
		return usage(next, "--since: %w", err)
	}
	older, err := audit.OpenCheckpoint(content, keys...)
	if err != nil {
		return usage(next, "--since: %w", err)
	}
	switch {
	case older.Size > newer.Size:
		return logBroken("LOG_ROLLED_BACK", "the log has %d entries; it had %d", newer.Size, older.Size)
	case older.Size == newer.Size:
		if older.Root != newer.Root {
			return logForked(older)
		}
		return nil
	case older.Size == 0:
		return nil // every log begins with none
	}
	answer, err := s.audit().GetConsistencyProof(ctx, &cardvaultv1.GetConsistencyProofRequest{FirstSize: older.Size, SecondSize: newer.Size})
	if err != nil {
		return err
	}
	hashes := make(tlog.TreeProof, 0, len(answer.GetHashes()))
	for _, h := range answer.GetHashes() {
		if len(h) != len(tlog.Hash{}) {
			return notVerified("the server's proof: a hash of %d bytes", len(h))
		}
		hashes = append(hashes, tlog.Hash(h))
	}
	if tlog.CheckTree(hashes, newer.Size, newer.Root, older.Size, older.Root) != nil {
		return logForked(older)
	}
	return nil
}

// What an auditor has to know at once, told apart by reason.

func notVerified(format string, args ...any) error {
	return logBroken("NOT_VERIFIED", format, args...)
}

func logForked(older audit.Checkpoint) error {
	return logBroken("LOG_FORKED", "the server cannot prove that its log begins with the %d entries that it had", older.Size)
}

func logBroken(reason, format string, args ...any) error {
	return &exitError{
		code: exitFailed, reason: reason, err: fmt.Errorf(format, args...),
		next: "check that the key and the server are of the same log; if so, keep both checkpoints as evidence",
	}
}
