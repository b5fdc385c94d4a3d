package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/wsserver/auth"
)

func newInitCmd() *cobra.Command {
	var print bool
	var role string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the publication and grant the rights, or print the SQL for the DBA",
		Long: `Make the publication that serve reads, with the profile's columns and no others,
and grant the role of serve what it lacks.

It needs a role that owns the LMS's tables. With --print it changes nothing and
prints the statements that are still missing, for a DBA to run. Run it again after
a change of the profile or of the LMS's tables.`,
		Example: `  schoolbell init --database postgres://owner:password@db.example.org/lms --role schoolbell --print`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, p, err := loadForDatabase(cmd.Flags())
			if err != nil {
				return err
			}
			if print {
				return printInit(cmd, cfg, p, role)
			}
			if err := initDatabase(cmd.Context(), cfg, p, role); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "publication %q is ready for profile %s; next: schoolbell check, then schoolbell serve\n", cfg.Publication, p.Name())
			return nil
		},
	}
	addConfigFlags(cmd.Flags(), "config", "database", "profile", "publication", "slot",
		"session_secret", "session_secret_fallbacks", "session_backends")
	cmd.Flags().BoolVar(&print, "print", false, "Print the SQL instead of running it")
	cmd.Flags().StringVar(&role, "role", "", "The `role` that serve will use (default: the one in --database)")
	return cmd
}

// printInit writes what psql can read.
func printInit(cmd *cobra.Command, cfg Config, p *profile.Profile, role string) error {
	statements, err := replication.InitSQL(cmd.Context(), initConfig(cfg, p, role))
	if err != nil {
		return err
	}
	grants, err := signInGrants(cmd.Context(), cfg, p, role)
	if err != nil {
		return err
	}
	statements = append(statements, grants...)
	if len(statements) == 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "-- nothing is missing: publication %q is ready for profile %s\n", cfg.Publication, p.Name())
	}
	for _, s := range statements {
		fmt.Fprintln(cmd.OutOrStdout(), s+";")
	}
	return nil
}

func initDatabase(ctx context.Context, cfg Config, p *profile.Profile, role string) error {
	if err := replication.Init(ctx, initConfig(cfg, p, role)); err != nil {
		return err
	}
	grants, err := signInGrants(ctx, cfg, p, role)
	if err != nil || len(grants) == 0 {
		return err
	}
	conn, err := pgx.Connect(ctx, cfg.Database.Reveal())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, sql := range grants {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("let the role look up credentials: %w; fix: let the owner of the table run %s", err, sql)
		}
	}
	return nil
}

func initConfig(cfg Config, p *profile.Profile, role string) replication.Config {
	rc := replicationConfig(cfg, p, slog.New(slog.DiscardHandler))
	rc.Role = role
	return rc
}

// signInGrants are the rights on the tables of credentials: they are asked at every
// sign-in and never published.
func signInGrants(ctx context.Context, cfg Config, p *profile.Profile, role string) ([]string, error) {
	pool, err := auth.OpenPool(ctx, cfg.Database.Reveal())
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	var all []string
	for _, way := range waysOf(cfg, p, pool, nil, nil, nil) { // the others ask no table
		of, ok := way.(interface {
			Grants(ctx context.Context, role string) ([]string, error)
		})
		if !ok {
			continue
		}
		grants, err := of.Grants(ctx, role)
		if err != nil {
			return nil, err
		}
		for _, sql := range grants {
			if !slices.Contains(all, sql) { // both may lack the same schema
				all = append(all, sql)
			}
		}
	}
	return all, nil
}
