package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/projection"
)

// checkBelief prints what serve would believe of the LMS, for somebody who knows the
// school to see whether the profile is right.
func checkBelief(cmd *cobra.Command, cfg Config, p *profile.Profile) error {
	boundGarbage()
	d := &dryRun{cfg: cfg, profile: p, progress: cmd.ErrOrStderr()}
	return d.run(cmd.Context(), func() error {
		census, err := d.projection.Census(cmd.Context())
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		fmt.Fprintf(out, "dry run: %d rows of %d tables read in %v (%.0f rows/s); schoolbell serve would believe:\n",
			d.rows, len(p.Tables()), d.took.Round(time.Millisecond), float64(d.rows)/max(d.took.Seconds(), 1e-3))
		printCensus(out, p, census)
		if err := printSamples(cmd.Context(), out, d.projection); err != nil {
			return err
		}
		for _, advice := range advise(p, census) {
			fmt.Fprintln(out, "advice:", advice)
		}
		return nil
	})
}

func printCensus(out io.Writer, p *profile.Profile, c *projection.Census) {
	line := func(what, text string) { fmt.Fprintf(out, "  %-12s %s\n", what, text) }
	unlessNone := func(n int, format string) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprintf(format, n)
	}
	if p.HasCourses() {
		line("courses", fmt.Sprint(c.Courses)+unlessNone(c.Quiet, "; %d not active, of which nothing is told"))
	}
	active := 0
	for _, n := range c.People {
		active += n
	}
	line("people", fmt.Sprintf("%d active: %s, %s, %s, %s", active, several(c.People[cdc.Admin], "admin"), several(c.People[cdc.Teacher], "teacher"),
		several(c.People[cdc.Tutor], "tutor"), several(c.People[cdc.Student], "student"))+
		unlessNone(c.People[cdc.NoRole], ", %d without a role")+unlessNone(c.Inactive, "; %d not active"))
	line("assignments", fmt.Sprintf("%d: %d published (%d open, %d closed)", c.Assignments, c.Published, c.Open, c.Closed)+
		unlessNone(c.Assignments-c.Published, ", %d not published"))
	line("submissions", fmt.Sprintf("%d: %d pending, %d submitted (%d ungraded); %d graded", c.Submissions, c.Pending, c.Submitted, c.Ungraded, c.Graded)+
		unlessNone(c.Gone, "; besides, %d gone"))
}

// several counts things in words.
func several[N int | int64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// printSamples shows what some people would find on their dashboards.
func printSamples(ctx context.Context, out io.Writer, p *projection.Projection) error {
	for _, of := range []struct {
		role cdc.Role
		n    int
	}{{cdc.Teacher, 3}, {cdc.Tutor, 3}, {cdc.Admin, 1}} {
		samples, err := p.Samples(ctx, of.role, of.n)
		if err != nil {
			return err
		}
		for _, s := range samples {
			fmt.Fprintf(out, "  %-12s %s: %s%s\n", of.role, personText(s.Person), countsText(s.Counts), titlesText(s.Titles))
		}
	}
	return nil
}

// personText names somebody: key, name, e-mail.
func personText(p cdc.Person) string {
	text := p.ID.String()
	if name := strings.TrimSpace(p.FirstName + " " + p.LastName); name != "" {
		text += " " + name
	}
	if p.Email != "" {
		text += " <" + p.Email + ">"
	}
	return text
}

func countsText(c cdc.Counts) string {
	return fmt.Sprintf("%d pending, %d ungraded, %s, %s", c.PendingSubmissions, c.UngradedSubmissions,
		several(c.ActiveStudents, "active student"), several(c.TotalAssignments, "assignment"))
}

func titlesText(titles []string) string {
	quoted := make([]string, len(titles))
	for i, title := range titles {
		quoted[i] = fmt.Sprintf("%q", title)
	}
	if len(quoted) == 0 {
		return ""
	}
	return ", like " + strings.Join(quoted, " and ")
}
