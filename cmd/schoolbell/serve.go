package main

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
)

func newServeCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Follow the database's log and serve dashboards",
		Long: `Follow the log of the LMS's database and serve dashboards.

The first start reads a snapshot of the profile's tables; every later one goes on
where the data directory ends. serve changes nothing in the database: init, or a
DBA with the output of init --print, makes the publication first.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), os.Environ(), "database")
			if err != nil {
				return err
			}
			return serve(cmd.Context(), cfg, newLogger(os.Stderr, cfg))
		},
	}
	addConfigFlags(cmd.Flags())
	return cmd
}

// serve runs a gateway until ctx ends.
func serve(ctx context.Context, cfg Config, log *slog.Logger) error {
	log.Info("starting", "version", readBuild().Version, "profile", cfg.Profile, "data", cfg.Data, "slot", cfg.Slot, "publication", cfg.Publication)
	g, err := openGateway(ctx, cfg, log)
	if err != nil {
		return err
	}
	err = g.run(ctx)
	closed := g.close()
	if err == nil || g.store.Failure() == nil { // otherwise the same would be said twice
		err = errors.Join(err, closed)
	}
	if err == nil {
		log.Info("stopped", "pos", g.projection.Checkpoint().Applied.String())
	}
	return err
}
