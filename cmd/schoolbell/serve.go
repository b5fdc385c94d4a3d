package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newServeCmd() *cobra.Command {
	adopt := false
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Follow the database's log and serve dashboards",
		Long: `Follow the log of the LMS's database and serve dashboards.

The first start reads a snapshot of the profile's tables; every later one goes on
where the data directory ends. Where the log does not continue there (the slot was
dropped or given up, the server restored, a table made anew) the tables are read
again and compared with what we have: what happened in between is delivered late.
serve changes nothing in the database: init, or a DBA with the output of
init --print, makes the publication first.

Another server, or another database, is refused: the URL may be a mistake. Where
the server was replaced (by a major upgrade, or by dump and restore), start once
with --adopt: the tables are compared as above. A slot of our name that is there
already is dropped.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), os.Environ(), "database")
			if err != nil {
				return err
			}
			boundGarbage()
			return serve(cmd.Context(), cfg, adopt, newLogger(os.Stderr, cfg))
		},
	}
	addConfigFlags(cmd.Flags())
	// No setting: in a file it would consent to every server to come.
	cmd.Flags().BoolVar(&adopt, "adopt", false, "go on although the server or the database is another one than before")
	return cmd
}

// boundGarbage lets the memory grow by half, not to the double, before it is collected,
// unless GOGC says otherwise. Most of what is in use are the store's caches, which hold
// no pointers and cost the collector nothing: of a transaction of a million rows the
// peak was 115 MB instead of 154, for a tenth more of the processor at most.
func boundGarbage() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

// serve runs a gateway until ctx ends.
func serve(ctx context.Context, cfg Config, adopt bool, log *slog.Logger) error {
	log.Info("starting", "version", readBuild().Version, "profile", cfg.Profile, "data", cfg.Data, "slot", cfg.Slot, "publication", cfg.Publication)
	g, err := openGateway(ctx, cfg, adopt, log)
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
