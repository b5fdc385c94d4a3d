package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/schoolbell/schoolbell/cdc/replication"
)

func newUninstallCmd() *cobra.Command {
	var print, yes bool
	var role string
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Drop the slot and the publication, and say what is left of schoolbell",
		Long: `Drop the replication slot and the publication, after saying what it will do and
asking, and say what is left and how to remove that: the role and its rights, the
data directory, the configuration, settings of the server.

Stop serve first: a slot that somebody reads is not dropped, and nothing is. What is
not ours is refused: a slot of another plugin or database, a publication of other
tables than the profile's. It needs a role with REPLICATION that owns the
publication; what the role may not do it leaves, prints, and ends with 1.

With --print it changes nothing and prints the statements, for a DBA to run. Where
no terminal can be asked, --yes consents.`,
		Example: "  schoolbell uninstall --database postgres://owner:password@db.example.org/lms --role schoolbell",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, p, err := loadForDatabase(cmd.Flags())
			if err != nil {
				return err
			}
			rc := initConfig(cfg, p, role)
			plan, err := replication.PlanRemoval(cmd.Context(), rc)
			if err != nil {
				return err
			}
			if print {
				printRemoval(cmd.OutOrStdout(), plan, cfg)
				return nil
			}
			return uninstall(cmd, plan, rc, cfg, yes)
		},
	}
	addConfigFlags(cmd.Flags(), "config", "database", "profile", "publication", "slot", "data")
	cmd.Flags().BoolVar(&print, "print", false, "Print the SQL instead of running it")
	cmd.Flags().BoolVar(&yes, "yes", false, "Do it without asking")
	cmd.Flags().StringVar(&role, "role", "", "The `role` that serve used (default: the one in --database)")
	return cmd
}

// uninstall says, asks, does, and says what is left.
func uninstall(cmd *cobra.Command, plan *replication.Removal, rc replication.Config, cfg Config, yes bool) error {
	out := cmd.OutOrStdout()
	may := 0
	for _, s := range plan.Steps {
		if s.Not == "" {
			may++
		}
	}
	if plan.InUse != nil {
		return fmt.Errorf("%w; nothing was dropped", plan.InUse)
	}
	if may > 0 {
		fmt.Fprintf(out, "this will be done in database %q:\n", plan.Database)
		sayPlan(out, plan)
		if err := consent(cmd.Context(), out, cmd.InOrStdin(), yes); err != nil {
			return err
		}
		err := plan.Run(cmd.Context(), rc, func(s replication.RemovalStep) { fmt.Fprintln(out, "dropped", s.What) })
		if err != nil {
			return err
		}
	} else if len(plan.Steps) == 0 {
		fmt.Fprintf(out, "neither slot %q nor publication %q is in database %q: nothing is to be dropped\n", cfg.Slot, cfg.Publication, plan.Database)
	}
	fmt.Fprintln(out, "\nleft, for you to remove:")
	var missing []error
	for _, s := range plan.Steps {
		if s.Not != "" {
			fmt.Fprintf(out, "- %s: %s; a DBA runs:\n    %s;\n", s.What, s.Not, s.SQL)
			missing = append(missing, fmt.Errorf("%s is still there: %s; fix: let a DBA run %s", s.What, s.Not, s.SQL))
		}
	}
	for _, line := range left(plan, cfg) {
		fmt.Fprintln(out, line)
	}
	return errors.Join(missing...)
}

func sayPlan(out io.Writer, plan *replication.Removal) {
	for _, s := range plan.Steps {
		if s.Not == "" {
			fmt.Fprintf(out, "- drop %s, %s\n", s.What, s.More)
		}
	}
	for _, note := range plan.Notes {
		fmt.Fprintln(out, "note:", note)
	}
}

// consent asks whoever sits at the terminal.
func consent(ctx context.Context, out io.Writer, in io.Reader, yes bool) error {
	if yes {
		return nil
	}
	nobody := usageError{errors.New("nobody can be asked, as this is no terminal, and nothing was dropped; fix: --yes, or --print to see the SQL")}
	if !isTerminal(in) {
		return nobody
	}
	fmt.Fprint(out, "go on? [y/N] ")
	answer := make(chan string, 1)
	go func() { // ends with the process: a read of a terminal cannot be broken off
		line, err := bufio.NewReader(in).ReadString('\n')
		if err != nil { // /dev/null looks like a terminal
			line = ""
		}
		answer <- line
	}()
	select {
	case line := <-answer:
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "y", "yes":
			return nil
		}
		if line == "" {
			return nobody
		}
	case <-ctx.Done():
	}
	return errors.New("nothing was dropped, as you did not say yes")
}

// left says what a removal leaves, each with how to remove it.
func left(plan *replication.Removal, cfg Config) []string {
	var lines []string
	if r := plan.Role; r.Name != "" {
		rights := "no rights of its own in this database"
		if len(r.Rights) > 0 {
			rights = "which may " + strings.Join(r.Rights, ", ")
		}
		lines = append(lines, fmt.Sprintf("- role %q, %s", r.Name, rights))
		if r.Kept != "" {
			lines = append(lines, "    it is to stay: "+r.Kept)
		}
		if r.Statements != nil {
			lines = append(lines, "    once nobody is connected as it, a DBA runs (who is no superuser after GRANT "+r.Name+" TO CURRENT_USER):")
		}
		for _, sql := range r.Statements {
			lines = append(lines, "    "+sql+";")
		}
	}
	data, err := filepath.Abs(cfg.Data)
	if err != nil {
		data = cfg.Data
	}
	here := ""
	if _, err := os.Stat(data); err != nil {
		here = ", which is not on this machine"
	}
	lines = append(lines, "- the data directory "+data+here+", and what --rebuild moved aside beside it: they hold names, e-mail addresses and marks")
	if cfg.File != "" {
		lines = append(lines, "- the configuration "+cfg.File)
	}
	lines = append(lines, "- the files of secrets, the service, the line of the role in pg_hba.conf, the program")
	for _, setting := range plan.Left {
		lines = append(lines, "- "+setting)
	}
	return lines
}

// printRemoval writes what psql can read.
func printRemoval(out io.Writer, plan *replication.Removal, cfg Config) {
	if plan.InUse != nil {
		fmt.Fprintln(out, "-- first:", plan.InUse)
	}
	for _, note := range plan.Notes {
		fmt.Fprintln(out, "-- note:", note)
	}
	for _, s := range plan.Steps {
		fmt.Fprintln(out, s.SQL+";")
	}
	for _, sql := range plan.Role.Statements {
		fmt.Fprintln(out, sql+";")
	}
	fmt.Fprintln(out, "-- left:")
	role := plan.Role
	plan.Role.Statements = nil // they stand above
	for _, line := range left(plan, cfg) {
		fmt.Fprintln(out, "--", line)
	}
	plan.Role = role
}
