package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func newConfigCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check the configuration, show what is in force, print the reference",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigCheckCmd(), newConfigShowCmd(), newConfigReferenceCmd())
	return cmd
}

func newConfigCheckCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say every mistake in the configuration, each with its place",
		Long: `Read the configuration as serve does, from flags, variables and the file, and say
every mistake, each with its place. Ends with 2 if there is one.

It reads the files that the settings name (profile, certificate, keys), and asks
jwt_keys where that is an address. It asks no database: schoolbell check does.`,
		Example: "  schoolbell config check --config /etc/schoolbell/schoolbell.yaml",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, from, err := loadPlaces(cmd.Flags(), os.Environ(), "database")
			if err != nil {
				return err
			}
			if err := checkConfig(cmd.Context(), cfg); err != nil {
				return err
			}
			set := 0
			for _, place := range from {
				if place != byDefault {
					set++
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the configuration is right: %s, the others have their defaults; next: schoolbell check\n", counted(set, "setting is given", "settings are given"))
			return nil
		},
	}
	addConfigFlags(cmd.Flags())
	return cmd
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func newConfigShowCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the value of every setting and where it comes from",
		Long: `Print the value that every setting has for serve with the same flags, variables and
file, and where it comes from: the default, the file, the environment or a flag. It
is written as such a file. Secrets are not shown.

What a gateway that is running has is at /config on its admin_listen.`,
		Example: "  schoolbell config show --config /etc/schoolbell/schoolbell.yaml",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, from, err := loadPlaces(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			writeConfig(cmd.OutOrStdout(), cfg, from)
			return nil
		},
	}
	addConfigFlags(cmd.Flags())
	return cmd
}

func newConfigReferenceCmd() *cobra.Command {
	markdown := false
	cmd := &cobra.Command{
		Use:   "reference",
		Short: "Print what can be set, as a file to begin with",
		Long: `Print every setting with what it is, its flag, its variable and its default, as a
configuration file in which all of them are comments.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text := configFileReference()
			if markdown {
				text = configReference()
			}
			_, err := fmt.Fprint(cmd.OutOrStdout(), text)
			return err
		},
	}
	cmd.Flags().BoolVar(&markdown, "markdown", false, "Print the README's table instead")
	return cmd
}
