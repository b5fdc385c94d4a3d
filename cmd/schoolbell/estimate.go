package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/replication"
)

// estimate says what a snapshot will cost the server, before there is one.
func estimate(cmd *cobra.Command, cfg Config, p *profile.Profile) (string, error) {
	e, err := replication.EstimateSnapshot(cmd.Context(), replicationConfig(cfg, p, slog.New(slog.DiscardHandler)))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("a snapshot reads about %s rows of %d tables, which takes %s; at a first start, and whenever the log does not continue",
		thousands(e.Rows), e.Tables, roughly(e.Took)), nil
}

// roughly is a duration as an estimate is told.
func roughly(d time.Duration) string {
	switch {
	case d < time.Second:
		return "less than a second"
	case d < 2*time.Minute:
		return fmt.Sprintf("about %.0f seconds", d.Seconds())
	}
	return fmt.Sprintf("about %.0f minutes", d.Minutes())
}

// thousands writes a number for people.
func thousands(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
