package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/replication"
)

func newInitCmd() *cobra.Command {
	var print bool
	var role string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the publication, or print the SQL for the DBA",
		Long: `Make the publication that serve reads, with the profile's columns and no others.

It needs a role that owns the LMS's tables. With --print it changes nothing and
prints the statements, rights included, for a DBA to run.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), os.Environ(), "database")
			if err != nil {
				return err
			}
			p, err := profile.Open(cfg.Profile)
			if err != nil {
				return usageError{err}
			}
			rc := replicationConfig(cfg, p, slog.New(slog.DiscardHandler), false)
			rc.Role = role
			if print {
				statements, err := replication.InitSQL(cmd.Context(), rc)
				for _, s := range statements {
					fmt.Fprintln(cmd.OutOrStdout(), s)
				}
				return err
			}
			if err := replication.Init(cmd.Context(), rc); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "publication %q is ready for profile %s; next: schoolbell check, then schoolbell serve\n", cfg.Publication, p.Name())
			return nil
		},
	}
	addConfigFlags(cmd.Flags(), "config", "database", "profile", "publication", "slot")
	cmd.Flags().BoolVar(&print, "print", false, "print the SQL instead of running it")
	cmd.Flags().StringVar(&role, "role", "", "the role that serve will use (default: the one in --database)")
	return cmd
}
