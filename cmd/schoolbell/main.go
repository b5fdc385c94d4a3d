// Command schoolbell tells the people of a school, live, what happens in its LMS.
//
// It joins the steps and does nothing else: serve reads the log of the LMS's
// database and serves dashboards, init and check prepare the database, demo brings
// a database and a school of its own, tail shows a gateway's events in a terminal.
//
// # Promises
//
//   - Every mistake in the configuration is told at once, each with its place,
//     the value and what was expected.
//   - A secret is never written: not into logs, not into errors.
//   - The exit code tells a failure (1) from a mistake of usage (2) and from a
//     refusal by the gateway (3). Ctrl-C and SIGTERM end with 0, but for a
//     dry run, which then has answered nothing; a second one
//     ends at once.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // a profile may name a zone, and small images have none

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func main() {
	ignoreFileLimit()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second signal kills
	err := newRootCmd().ExecuteContext(ctx)
	report(os.Stderr, err)
	os.Exit(exitCode(err))
}

// usageError is a mistake of whoever wrote the command line or the configuration:
// another try with the same words is useless.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// exitCode says with what the process ends.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return 2
	}
	if _, ok := errors.AsType[refusedError](err); ok {
		return 3
	}
	return 1
}

// report writes each mistake on a line of its own.
func report(w io.Writer, err error) {
	if err == nil {
		return
	}
	for line := range strings.Lines(err.Error()) {
		_, _ = fmt.Fprintln(w, "schoolbell:", strings.TrimRight(line, "\n"))
	}
}

func newRootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:   "schoolbell",
		Short: "Live dashboards for an LMS, from its database's log",
		Long: `schoolbell reads the write-ahead log of an LMS's PostgreSQL and tells teachers,
tutors and admins over WebSocket what happened, within milliseconds of the commit.

To look at it, run schoolbell demo. To connect an LMS: init (or a DBA with the
output of init --print), check until all is well, then serve.

Settings are flags, over SCHOOLBELL_* variables, over the file named by --config.
It ends with 0 when all is well or it was told to stop, 1 when something failed, 2
for a mistake on the command line or in the configuration, 3 when a gateway
refused (tail).`,
		SilenceErrors: true, // main reports them, once
		SilenceUsage:  true, // a page of flags hides the sentence that helps
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			var names []string
			for _, c := range cmd.Commands() {
				names = append(names, c.Name())
			}
			return usageError{fmt.Errorf("unknown command %s%s", args[0], suggest(args[0], names))}
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newServeCmd(), newInitCmd(), newCheckCmd(), newConfigCmd(), newProfileCmd(), newUpgradeCmd(), newUninstallCmd(), newReportCmd(), newDemoCmd(), newTailCmd(), newHealthCmd(), newVersionCmd())
	return root
}

// noArgs refuses words after a command that takes none.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no arguments, but was given %q; settings are flags, see %s --help",
			cmd.CommandPath(), args[0], cmd.CommandPath())}
	}
	return nil
}

func flagError(cmd *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
	return usageError{fmt.Errorf("%w%s", unknown, suggest("--"+unknown.GetSpecifiedName(), known))}
}
