package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
)

// keyTimeout bounds the look at the log's key.
const keyTimeout = 30 * time.Second

func auditKey() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Print the public key of the audit log, for those who verify it",
		Long: `Print the verifier keys of the audit log (C2SP signed-note), one a line, the newest
first: the versions of its transit key that checkpoints may be signed with. Give them to
auditors and witnesses on a way of their own: who takes them from the log's server
believes the server.

It needs what serve needs of transit, so it runs where serve does, with its file.`,
		Example: "  cardvault audit key --config /etc/cardvault/config.yaml > log.pub",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := readConfig(path)
			if err != nil {
				return err
			}
			keys, err := logKeys(cmd.Context(), c, newLog(cmd.ErrOrStderr(), c.Log.level()))
			if err != nil {
				return err
			}
			out, err := newPrinter(cmd.OutOrStdout(), outputTable)
			if err != nil {
				return err
			}
			return out.lines(keys...)
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "configuration file of serve, YAML")
	_ = cmd.MarkFlagRequired("config")
	return cmd
}

// logKeys reads the log's keys from transit.
func logKeys(ctx context.Context, c config, log *slog.Logger) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, keyTimeout)
	defer cancel()
	kek, signer, err := openTransit(ctx, c, log)
	if err != nil {
		return nil, err
	}
	defer kek.Close()
	keys, err := signer.Keys(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	var texts []string
	for _, key := range keys {
		texts = append(texts, fmt.Sprint(key))
	}
	return texts, nil
}
