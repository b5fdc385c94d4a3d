package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/schoolbell/schoolbell/cdc/replication"
)

func newUpgradeCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Let the LMS be upgraded: widen the publication before, narrow it after",
		Long: `Let the LMS be upgraded.

PostgreSQL refuses to drop or to retype a column that a publication lists, and so
a migration of the LMS may fail on ours. Run upgrade begin before it, and upgrade
end after it. serve goes on meanwhile. Both may be run twice.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newUpgradeBeginCmd(), newUpgradeEndCmd())
	return cmd
}

func newUpgradeBeginCmd() *cobra.Command {
	return upgradeStep("begin", "Widen the publication before the LMS is upgraded", `Widen the publication: without column lists no migration of the LMS fails on them.

It needs the role that owns the publication. With --print it changes nothing and
prints the statements, for a DBA to run. That the publication is widened stands in
its comment, so that nobody calls it wrong; upgrade end takes that out again.`,
		func(cmd *cobra.Command, rc replication.Config) (*replication.Upgrade, error) {
			return replication.BeginUpgrade(cmd.Context(), rc, time.Now())
		}, sayBegun)
}

func newUpgradeEndCmd() *cobra.Command {
	return upgradeStep("end", "Check the tables and narrow the publication after the LMS was upgraded", `Check the tables, and publish the profile's columns alone again.

It does for these tables what init does, and refuses what init refuses: then mend
that, and run it again. It says what the upgrade has changed of the profile's tables.`,
		func(cmd *cobra.Command, rc replication.Config) (*replication.Upgrade, error) {
			return replication.EndUpgrade(cmd.Context(), rc)
		}, sayEnded)
}

// upgradeStep is one of the two. plan finds what is to be done, and say tells what was, or
// what of it has been printed.
func upgradeStep(name, short, long string,
	plan func(*cobra.Command, replication.Config) (*replication.Upgrade, error),
	say func(w io.Writer, u *replication.Upgrade, publication string),
) *cobra.Command {
	var print bool
	var role string
	cmd := &cobra.Command{
		Use: name, Short: short, Long: long, Args: noArgs,
		Example: "  schoolbell upgrade " + name + " --database postgres://owner:password@db.example.org/lms --role schoolbell",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, p, err := loadForDatabase(cmd.Flags())
			if err != nil {
				return err
			}
			rc := initConfig(cfg, p, role)
			u, err := plan(cmd, rc)
			if err != nil {
				return err
			}
			if print {
				printUpgrade(cmd.OutOrStdout(), u, rc.Publication, say)
				return nil
			}
			if err := u.Run(cmd.Context(), rc, "schoolbell upgrade "+name); err != nil {
				return err
			}
			say(cmd.OutOrStdout(), u, rc.Publication)
			return nil
		},
	}
	addConfigFlags(cmd.Flags(), "config", "database", "profile", "publication", "slot")
	cmd.Flags().BoolVar(&print, "print", false, "Print the SQL instead of running it")
	cmd.Flags().StringVar(&role, "role", "", "The `role` that serve uses (default: the one in --database)")
	return cmd
}

// printUpgrade writes what psql can read. What is told besides is a comment, as it is so
// once somebody has run it.
func printUpgrade(w io.Writer, u *replication.Upgrade, publication string, say func(io.Writer, *replication.Upgrade, string)) {
	if len(u.Statements) > 0 {
		fmt.Fprintln(w, "BEGIN;")
		for _, s := range u.Statements {
			fmt.Fprintln(w, s+";")
		}
		fmt.Fprintln(w, "COMMIT;")
	}
	var told strings.Builder
	say(&told, u, publication)
	for line := range strings.Lines(told.String()) {
		fmt.Fprint(w, "-- ", line)
	}
}

func sayBegun(w io.Writer, u *replication.Upgrade, publication string) {
	switch {
	case u.NoLists != 0:
		fmt.Fprintf(w, "nothing is to be done: PostgreSQL %d has no column lists that a migration could fail on\n", u.NoLists)
		return
	case len(u.Statements) == 0:
		fmt.Fprintf(w, "nothing is to be done: publication %q has been widened since %s\n", publication, u.Since.Format(time.RFC3339))
	default:
		fmt.Fprintf(w, "publication %q is widened since %s: all columns of its tables are sent, and no column list keeps the LMS from being migrated\n", publication, u.Since.Format(time.RFC3339))
	}
	fmt.Fprint(w, `serve goes on: it reads the columns of the profile and no others, and /readyz says since when the publication is widened
where the migration changes one of these columns, serve does without it or waits, and says so; nothing is lost
a migration that leaves a table without its key breaks the LMS's own UPDATE and DELETE of it all the same: take that table out before it
next: upgrade the LMS, then run schoolbell upgrade end
`)
}

func sayEnded(w io.Writer, u *replication.Upgrade, publication string) {
	for _, c := range u.Changes {
		fmt.Fprintln(w, "changed:", c)
	}
	switch {
	case len(u.Statements) == 0 && u.NoLists != 0:
		fmt.Fprintf(w, "nothing is to be done: PostgreSQL %d has no column lists, and publication %q is sound\n", u.NoLists, publication)
		return
	case len(u.Statements) == 0:
		fmt.Fprintf(w, "nothing is to be done: publication %q is not widened, and sound\n", publication)
		return
	case !u.Since.IsZero() && len(u.Changes) == 0:
		fmt.Fprintln(w, "the upgrade changed nothing of the profile's columns")
	}
	fmt.Fprintf(w, `publication %q sends the profile's columns and no others
serve notices by itself, within seconds: it reads the tables once more, compares them and goes on; nothing is lost
next: schoolbell check
`, publication)
}
