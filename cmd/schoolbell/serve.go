package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
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
already is dropped.

At SIGHUP the configuration is read again: what can be changed without a restart is,
and of the rest the log says that it was not.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			load := func() (Config, places, error) { return loadPlaces(cmd.Flags(), os.Environ(), "database") }
			cfg, from, err := load()
			if err != nil {
				return err
			}
			boundGarbage()
			return serve(cmd.Context(), effective{cfg, from}, adopt, load)
		},
	}
	addConfigFlags(cmd.Flags())
	// No setting: in a file it would consent to every server to come.
	cmd.Flags().BoolVar(&adopt, "adopt", false, "go on although the server or the database is another one than before")
	return cmd
}

// boundGarbage lets the memory grow by two fifths, not to the double, before it is collected,
// unless GOGC says otherwise. Most of what is in use are the store's caches, which hold
// no pointers and cost the collector nothing. A limit (GOMEMLIMIT) is no substitute: what
// is in use grows with the sockets, and beyond it the collector never rests. With 25 a
// backlog of small transactions took a twentieth more of the processor.
func boundGarbage() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(40)
	}
}

// serve runs a gateway until ctx ends. At SIGHUP it loads the configuration again.
func serve(ctx context.Context, now effective, adopt bool, load func() (Config, places, error)) (err error) {
	began, cfg := time.Now(), now.cfg
	log := newJournal(os.Stderr, cfg)
	defer func() { err = errors.Join(err, log.Close()) }()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	log.Info("starting", "version", readBuild().Version, "profile", cfg.Profile, "data", cfg.Data, "slot", cfg.Slot, "publication", cfg.Publication)
	g, err := openGateway(ctx, cfg, now.from, adopt, log)
	if err != nil {
		return err
	}
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return g.run(running) })
	group.Go(func() error { return g.reloading(running, reload, load) })
	err = group.Wait()
	closed := g.close()
	if err == nil || g.store.Failure() == nil { // otherwise the same would be said twice
		err = errors.Join(err, closed)
	}
	if err == nil {
		log.Info("stopped", "pos", g.projection.Checkpoint().Applied.String(), "ran", time.Since(began).Round(time.Second))
	}
	return err
}
