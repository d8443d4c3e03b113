package main

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/cardvault/cardvault/vault/postgres"
)

func migrateCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database to this program's schema",
		Long: `Bring the database to the schema that this program reads and writes. Several may run
at once: one works and the others find nothing to do. The database user needs the
right to create tables; the one of serve does not.`,
		Example: "  cardvault migrate --config /etc/cardvault/migrate.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := readConfig(path)
			if err != nil {
				return err
			}
			connString, err := c.Postgres.connString()
			if err != nil {
				return err
			}
			return migrate(cmd.Context(), connString, newLog(cmd.ErrOrStderr(), c.Log.level()))
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "configuration file, YAML")
	_ = cmd.MarkFlagRequired("config")
	return cmd
}

// migrate brings the database to this program's schema.
func migrate(ctx context.Context, connString string, log *slog.Logger) error {
	from, to, err := postgres.Migrate(ctx, connString)
	if err != nil {
		return storeError(err)
	}
	log.InfoContext(ctx, "database migrated", slog.Int64("from", from), slog.Int64("to", to))
	return nil
}
