package main

import (
	"github.com/spf13/cobra"

	"github.com/schoolbell/schoolbell/cdc/profile"
)

func newProfileSchemaCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of profiles, for editors",
		Long: `Print the JSON schema of the format. An editor that knows such schemas completes and
checks a profile as it is written, if its first line names the file:

  # yaml-language-server: $schema=schoolbell.schema.json`,
		Example: "  schoolbell profile schema > schoolbell.schema.json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(profile.JSONSchema())
			return err
		},
	}
}
