package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres"
	"github.com/schoolbell/schoolbell/deploy/school"
)

// demoSize is the school of the demo.
var demoSize = school.Size{Teachers: 20, Tutors: 5, Admins: 2, Students: 500, Assignments: 60}

type demoOptions struct {
	lms      string
	rate     float64
	seed     uint64
	duration time.Duration
}

func newDemoCmd() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show it all: a throw-away PostgreSQL, a school that lives in it, and its dashboards",
		Long: `Start a throw-away PostgreSQL, make the tables of an LMS, let a school live in them,
and serve its dashboards. Nothing is left behind when it ends.

PostgreSQL's programs are looked for on this machine; where there are none, they
are fetched once into the user's cache.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			if !slices.Contains(demoLMSs(), o.lms) {
				return usageError{fmt.Errorf("--lms is %q, want one of %s%s", o.lms, strings.Join(demoLMSs(), ", "), nearest(o.lms, demoLMSs()))}
			}
			if o.rate <= 0 {
				return usageError{fmt.Errorf("--rate is %v, want more than 0 operations a second", o.rate)}
			}
			ctx := cmd.Context()
			if o.duration > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, o.duration)
				defer cancel()
			}
			if !cmd.Flags().Changed("log-level") && os.Getenv(envPrefix+"LOG_LEVEL") == "" {
				cfg.LogLevel = "warn" // the demo tells its own story
			}
			return demo(ctx, cfg, o, cmd.OutOrStdout(), cmd.Flags().Changed("listen"))
		},
	}
	addConfigFlags(cmd.Flags(), "listen", "admin_listen", "heartbeat", "metrics_interval", "log_level", "log_format")
	cmd.Flags().Lookup("log-level").DefValue = "warn"
	cmd.Flags().StringVar(&o.lms, "lms", "django", "Whose tables the school has, by the `name` of a built-in profile: "+strings.Join(demoLMSs(), ", "))
	cmd.Flags().Float64Var(&o.rate, "rate", 3, "What happens in the school, in `operations` a second")
	cmd.Flags().Uint64Var(&o.seed, "seed", 1, "The same `number` gives the same school and the same term")
	cmd.Flags().DurationVar(&o.duration, "duration", 0, "End after this time (default: with Ctrl-C)")
	return cmd
}

// demo runs the product itself; what it brings along is a database and a school.
func demo(ctx context.Context, cfg Config, o demoOptions, out io.Writer, listenGiven bool) (err error) {
	dir, err := os.MkdirTemp("", "schoolbell-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	step := stepWriter{out: out, began: time.Now()}

	server, err := postgres.Start(ctx, postgres.Options{Log: step})
	if err != nil {
		return ended(ctx, err)
	}
	defer func() {
		step.say("stopping PostgreSQL and removing its files")
		err = errors.Join(err, server.Stop())
	}()
	cfg.Database = Secret(server.URL("postgres"))
	cfg.Data = filepath.Join(dir, "data")
	cfg.Profile = o.lms
	if !listenGiven {
		cfg.Listen = freeAddress(cfg.Listen)
		cfg.AdminListen = freeAddress(cfg.AdminListen)
	}
	log := newJournal(os.Stderr, cfg)

	lms, conn, err := openSchool(ctx, cfg, o, step)
	if err != nil {
		return ended(ctx, err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	visitors, err := invite(lms.Everybody(), filepath.Join(dir, "jwt-secret"), &cfg)
	if err != nil {
		return err
	}

	g, err := openGateway(ctx, cfg, places{}, false, log)
	if err != nil {
		return ended(ctx, err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return g.run(ctx) })
	group.Go(func() error {
		select {
		case <-g.filled:
		case <-ctx.Done():
			return nil
		}
		step.say("the school is alive; Ctrl-C ends it and leaves nothing behind")
		printVisits(out, visitors, g)
		return lms.Live(ctx, conn, o.rate, log.Logger)
	})
	return errors.Join(group.Wait(), g.close(), log.Close())
}

// ended turns what a signal broke off into the normal end that it is.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// openSchool makes the tables, a term of work, and the publication.
func openSchool(ctx context.Context, cfg Config, o demoOptions, step stepWriter) (livingSchool, *pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, cfg.Database.Reveal())
	if err != nil {
		return nil, nil, err
	}
	fail := func(err error) (livingSchool, *pgx.Conn, error) {
		return nil, nil, errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
	}
	step.say("making the LMS's tables, and a term of work of %d teachers and %d students", demoSize.Teachers, demoSize.Students)
	lms, err := newSchool(ctx, conn, o.lms, demoSize, o.seed)
	if err != nil {
		return fail(err)
	}
	p, err := profile.Open(cfg.Profile)
	if err != nil {
		return fail(err)
	}
	step.say("schoolbell init: publishing the columns that profile %s reads", p.Name())
	if err := replication.Init(ctx, replicationConfig(cfg, p, slog.New(slog.DiscardHandler))); err != nil {
		return fail(err)
	}
	step.say("schoolbell serve: reading the snapshot")
	return lms, conn, nil
}

// printVisits says how to look: a page for each role, a terminal, the metrics.
func printVisits(out io.Writer, visitors []school.Person, g *gateway) {
	address := g.public.Addr().String()
	fmt.Fprintln(out)
	for _, p := range visitors {
		fmt.Fprintf(out, "  %-8s http://%s/#token=%s\n", p.Role, address, p.Token)
	}
	fmt.Fprintf(out, "  terminal %s tail --url http://%s --token %s\n", commandName(), address, visitors[0].Token)
	fmt.Fprintf(out, "  metrics  http://%s/metrics\n", g.admin.Addr())
	fmt.Fprintf(out, "  database psql '%s'\n\n", g.cfg.Database.Reveal())
}

// commandName is how this program can be called again: a program that `go run`
// made is gone when it ends.
func commandName() string {
	path, err := os.Executable()
	if info, ok := debug.ReadBuildInfo(); err != nil || ok && filepath.Base(filepath.Dir(path)) == "exe" {
		return "go run " + info.Path
	}
	return path
}

// freeAddress is the address, or if it is taken, any other port beside it.
func freeAddress(a Address) Address {
	l, err := net.Listen("tcp", string(a))
	if err == nil {
		_ = l.Close()
		return a
	}
	host, _, _ := net.SplitHostPort(string(a))
	return Address(net.JoinHostPort(host, "0"))
}

// stepWriter says what the demo is at, with the time since its first line.
type stepWriter struct {
	out   io.Writer
	began time.Time
}

func (s stepWriter) say(format string, args ...any) {
	fmt.Fprintf(s.out, "%5.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// Write takes lines of others.
func (s stepWriter) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		s.say("%s", bytes.TrimRight(line, "\n"))
	}
	return len(p), nil
}
