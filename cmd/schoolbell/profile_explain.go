package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

func newProfileExplainCmd() *cobra.Command {
	var row string
	cmd := &cobra.Command{
		Use:   "explain NAME --row TABLE:ID",
		Short: "Say what a profile makes of one row, who would hear of it, and why",
		Long: `Say what a profile (a built-in one by its name, or a file) makes of one row: which
sections read it, which of their conditions hold and by which values, what serve
would believe of it, and who would hear of it, as what and by which rows, and who
would not and why.

It reads all tables for that, as check --dry-run does, and leaves nothing behind.`,
		Example: `  schoolbell profile explain django --row assignments_assignmentsubmission:17 --database postgres://schoolbell:password@db.example.org/lms`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("%s takes one profile, a built-in one (%s) or a file, but was given %d; see %[1]s --help",
					cmd.CommandPath(), strings.Join(profile.BuiltIn(), ", "), len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(cmd.Flags(), os.Environ(), "database")
			if err != nil {
				return err
			}
			cfg.Profile = args[0]
			p, err := profile.Open(cfg.Profile)
			if err != nil {
				return usageError{err}
			}
			wanted, err := parseRow(p, row)
			if err != nil {
				return usageError{err}
			}
			return explain(cmd, cfg, p, wanted)
		},
	}
	addConfigFlags(cmd.Flags(), "config", "database", "roles")
	cmd.Flags().StringVar(&row, "row", "", "The row: `TABLE:ID`, its table and its key; a key of several columns is ID:ID, in the table's order")
	return cmd
}

// wantedRow is the row that is asked for, and what was found of it.
type wantedRow struct {
	spec cdc.TableSpec
	id   string

	profile  *profile.Profile
	bindings map[*cdc.Table]*profile.Binding
	found    *cdc.Row // owns its memory; nil: not yet
	err      error
}

// parseRow reads TABLE:ID; the schema may stand before the table.
func parseRow(p *profile.Profile, text string) (*wantedRow, error) {
	table, id, ok := strings.Cut(text, ":")
	if !ok || table == "" || id == "" {
		return nil, fmt.Errorf("--row is %q, want TABLE:ID, like --row %s:17", text, p.Tables()[len(p.Tables())-1].Name)
	}
	var names []string
	for _, spec := range p.Tables() {
		if table == spec.Name || table == spec.Schema+"."+spec.Name {
			return &wantedRow{spec: spec, id: id, profile: p, bindings: map[*cdc.Table]*profile.Binding{}}, nil
		}
		names = append(names, spec.Name)
	}
	return nil, fmt.Errorf("--row names table %s, which profile %s does not read%s", table, p.Name(), suggest(table, names))
}

// see keeps the row when it comes by.
func (w *wantedRow) see(row cdc.Row) {
	if w.found != nil || w.err != nil || row.Table.Name != w.spec.Name || row.Table.Schema != w.spec.Schema {
		return
	}
	b, ok := w.bindings[row.Table]
	if !ok {
		if b, w.err = w.profile.Bind(row.Table); w.err != nil {
			return
		}
		w.bindings[row.Table] = b
	}
	if b.Key(row.Values).String() != w.id {
		return
	}
	found := ownRow(row)
	w.found = &found
}

// ownRow is a row in memory of its own.
func ownRow(row cdc.Row) cdc.Row {
	row.Values = slices.Clone(row.Values)
	for i := range row.Values {
		row.Values[i].Data = slices.Clone(row.Values[i].Data)
	}
	return row
}

// explain reads the tables, and prints what there is to say of the row.
func explain(cmd *cobra.Command, cfg Config, p *profile.Profile, wanted *wantedRow) error {
	boundGarbage()
	d := &dryRun{cfg: cfg, profile: p, progress: cmd.ErrOrStderr(), seen: wanted.see, whole: wanted.spec.Name}
	return d.run(cmd.Context(), func() error {
		switch {
		case wanted.err != nil:
			return wanted.err
		case wanted.found == nil:
			return fmt.Errorf("table %s.%s has no row with the key %q; fix: give the row's primary key (of several columns, joined with \":\" in the table's order)",
				wanted.spec.Schema, wanted.spec.Name, wanted.id)
		}
		e, err := d.projection.Explain(cmd.Context(), wanted.found.Table, wanted.found.Values)
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		_, err = fmt.Fprintf(out, "row %v of table %s.%s\n", e.Row, wanted.spec.Schema, wanted.spec.Name)
		printReadings(out, e.Readings)
		printBeliefs(out, e.Beliefs)
		for _, t := range e.Tellings {
			printTelling(out, t)
		}
		return errors.Join(err, cmd.Context().Err())
	})
}
