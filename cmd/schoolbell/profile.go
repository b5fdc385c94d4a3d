package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/profile/guess"
	"github.com/schoolbell/schoolbell/wsserver/auth"
)

func newProfileCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "profile",
		Short: "Show, draft and explain profiles: what an LMS's rows mean",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			var names []string
			for _, c := range cmd.Commands() {
				names = append(names, c.Name())
			}
			return usageError{fmt.Errorf("unknown command %s %s%s", cmd.CommandPath(), args[0], suggest(args[0], names))}
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newProfileListCmd(), newProfileShowCmd(), newProfileSchemaCmd(), newProfileNewCmd(), newProfileExplainCmd())
	return cmd
}

func newProfileListCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the built-in profiles",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range profile.BuiltIn() {
				src, err := profile.Source(name)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%-10s %s\n", name, aboutProfile(src))
			}
			return nil
		},
	}
}

// aboutProfile is the first sentence of the comment that a built-in profile begins with.
func aboutProfile(src []byte) string {
	var comment strings.Builder
	for line := range strings.Lines(string(src)) {
		text, ok := strings.CutPrefix(line, "#")
		if !ok {
			break
		}
		comment.WriteString(strings.TrimSpace(text) + " ")
	}
	sentence, _, _ := strings.Cut(comment.String(), ". ")
	return sentence + "."
}

func newProfileShowCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "show NAME",
		Short:   "Print a built-in profile",
		Example: "  schoolbell profile show django > lms.yaml",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("%s takes the name of one built-in profile%s", cmd.CommandPath(), suggest("", profile.BuiltIn()))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			src, err := profile.Source(args[0])
			if err != nil {
				return usageError{err}
			}
			_, err = cmd.OutOrStdout().Write(src)
			return err
		},
	}
}

func newProfileNewCmd() *cobra.Command {
	var schema, out string
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Draft a profile for a database that is not known",
		Long: `Look at a database, guess which tables and columns hold a home-grown LMS's people,
assignments and submissions, and write a commented profile to start from.

It reads the catalogue, and of the rows only the values of columns that are called
like a state or a role, at most the first 10,000 rows of each. It writes nothing. A
role that may only connect sees the tables; with SELECT on them the guess is better.
What it is unsure of is a comment; the questions that are open are told on stderr.`,
		Example: "  schoolbell profile new --database postgres://owner:password@db.example.org/lms --out lms.yaml",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), os.Environ(), "database")
			if err != nil {
				return err
			}
			return draftProfile(cmd, cfg, schema, out)
		},
	}
	addConfigFlags(cmd.Flags(), "config", "database")
	cmd.Flags().StringVar(&schema, "schema", "public", "The `schema` of the LMS's tables")
	cmd.Flags().StringVar(&out, "out", "", "Write to this `file`, which must not be there yet, instead of the standard output")
	return cmd
}

func draftProfile(cmd *cobra.Command, cfg Config, schema, out string) error {
	if _, err := os.Lstat(out); out != "" && err == nil {
		return errFileThere(out)
	}
	draft, err := guessProfile(cmd.Context(), cfg, schema)
	if err != nil {
		return err
	}
	name := "the file"
	if out == "" {
		if _, err := cmd.OutOrStdout().Write(draft.YAML); err != nil {
			return err
		}
	} else {
		if err := writeNew(out, draft.YAML); err != nil {
			return err
		}
		name = out
	}
	notes := cmd.ErrOrStderr()
	fmt.Fprintf(notes, "found: %s\n", strings.Join(draft.Found, "; "))
	if draft.Fits != "" {
		fmt.Fprintln(notes, draft.Fits)
	}
	for i, q := range draft.Questions {
		fmt.Fprintf(notes, "question %d: %s\n", i+1, q)
	}
	if !draft.Complete {
		fmt.Fprintf(notes, "%s cannot be used yet: answer the questions in it, then run schoolbell check --profile FILE\n", name)
		return nil
	}
	fmt.Fprintf(notes, "%s is complete, and a guess: read it, then run schoolbell check --profile FILE\n", name)
	return nil
}

func guessProfile(ctx context.Context, cfg Config, schema string) (guess.Draft, error) {
	pool, err := auth.OpenPool(ctx, cfg.Database.Reveal())
	if err != nil {
		return guess.Draft{}, err
	}
	defer pool.Close()
	catalogue, err := readCatalogue(ctx, pool, schema)
	if err != nil {
		return guess.Draft{}, err
	}
	return guess.Profile(catalogue)
}

// writeNew writes a file that is not there yet.
func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return errFileThere(path)
	}
	if err != nil {
		return fmt.Errorf("write the profile: %w", err)
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

func errFileThere(path string) error {
	return usageError{fmt.Errorf("%s is there already, and nothing is overwritten; name another file with --out, or move that one away", path)}
}
