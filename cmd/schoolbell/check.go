package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/wsserver/auth"
)

func newCheckCmd() *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say everything that is wrong with the database, each with its remedy",
		Long: `Say everything that is wrong with the database, in the order in which to mend it,
each with the command that mends it. Ends with 1 if anything is wrong; advice
alone does not count.

With --dry-run it also reads the tables, as a first start of serve does, and prints
what serve would believe: how many people of which role, assignments, submissions,
what is odd about them, and what some people would find on their dashboards. That
needs SELECT on the profile's columns and nothing else, writes nothing into the
database, and leaves nothing behind: what it reads is kept in a temporary folder
(TMPDIR) until it ends.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, p, err := loadForDatabase(cmd.Flags())
			if err != nil {
				return err
			}
			wrong := check(cmd, cfg, p, !dry)
			if !dry || cmd.Context().Err() != nil {
				return wrong
			}
			err = checkBelief(cmd, cfg, p)
			if setup, ok := errors.AsType[*replication.SetupError](err); ok && wrong != nil {
				fmt.Fprintln(cmd.OutOrStdout(), "dry run: not possible yet:", setup.Setting, "is", setup.Got)
				return wrong // among which this is
			}
			return errors.Join(wrong, err)
		},
	}
	addConfigFlags(cmd.Flags(), "config", "database", "profile", "publication", "slot", "sql_messages", "self_check", "roles",
		"session_secret", "session_secret_fallbacks", "session_backends", "recheck",
		"jwt_keys", "jwt_issuer", "jwt_audience", "jwt_user_claim", "jwt_role_claim", "jwt_leeway",
		"proxy_user_header", "proxy_user_networks", "proxy_user_by",
		"introspect_url", "introspect_preset", "introspect_cookie", "introspect_method", "introspect_headers", "introspect_user", "introspect_email", "introspect_role",
		"introspect_expires", "introspect_requires", "introspect_refusals", "introspect_rate")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "Read the tables and print what serve would believe")
	return cmd
}

// check says what is wrong; with guess set also what a snapshot will cost, which a dry run
// measures.
func check(cmd *cobra.Command, cfg Config, p *profile.Profile, guess bool) error {
	found, err := replication.Check(cmd.Context(), replicationConfig(cfg, p, slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	var wrong int
	out := cmd.OutOrStdout()
	for _, f := range found {
		word := "wrong: "
		if f.Severity == replication.Advice {
			word = "advice:"
		} else {
			wrong++
		}
		fmt.Fprintln(out, word, f.Err)
	}
	if wrong == 0 { // otherwise the same would be said again in other words
		if err := checkSignIn(cmd, cfg, p); err != nil {
			wrong++
			fmt.Fprintln(out, "wrong: ", err)
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d to mend, in this order", wrong)
	}
	if guess {
		snapshot, err := estimate(cmd, cfg, p)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, snapshot)
	}
	fmt.Fprintln(out, noticing(cfg, p))
	fmt.Fprintf(out, "all is well: schoolbell serve can follow %d tables of profile %s\n", len(p.Tables()), p.Name())
	return nil
}

func checkSignIn(cmd *cobra.Command, cfg Config, p *profile.Profile) error {
	if err := canSignIn(cfg, p); err != nil {
		return err
	}
	pool, err := auth.OpenPool(cmd.Context(), cfg.Database.Reveal())
	if err != nil {
		return err
	}
	defer pool.Close()
	signed, err := signedTokens(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	named, err := namedByProxy(cfg, nil, nil)
	if err != nil {
		return err
	}
	shown, err := newIntrospection(cfg, p, nil)
	if err != nil {
		return err
	}
	return waysOf(cfg, p, pool, signed, named, shown).Check(cmd.Context())
}
