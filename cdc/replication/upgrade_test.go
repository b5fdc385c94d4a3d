package replication_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

const (
	widens  = `ALTER PUBLICATION "schoolbell" SET TABLE ONLY "public"."people", ONLY "public"."work"`
	narrows = `ALTER PUBLICATION "schoolbell" SET TABLE ONLY "public"."people" ("id", "email", "at", "span", "number", "raw"), ONLY "public"."work" ("assignment", "student", "mark")`
)

func (s *school) comment(t *testing.T) string {
	t.Helper()
	return ask[string](t, s.Conn, "SELECT COALESCE(obj_description(oid, 'pg_publication'), '') FROM pg_publication WHERE pubname = 'schoolbell'")
}

// withoutLists reports whether there is nothing to widen, and sees that this is said.
func (s *school) withoutLists(t *testing.T) bool {
	t.Helper()
	major := pgtest.Server(t).Major()
	if major >= listsFrom {
		return false
	}
	require.Equal(t, &replication.Upgrade{NoLists: major}, s.begin(t))
	require.Equal(t, &replication.Upgrade{NoLists: major}, s.end(t))
	require.Empty(t, s.comment(t))
	return true
}

// Each of these is refused while the column is listed, and works within an upgrade.
func TestWithinAnUpgradeNoMigrationFailsOnTheColumnLists(t *testing.T) {
	s := newSchool(t)
	if s.withoutLists(t) {
		return
	}
	migrations := []string{"ALTER TABLE work ALTER mark TYPE varchar(9)", "ALTER TABLE people DROP COLUMN raw", "ALTER TABLE people ALTER id TYPE int"}
	for _, sql := range migrations {
		_, err := s.Exec(t.Context(), sql)
		require.Error(t, err, sql)
	}
	s.begin(t)
	for _, sql := range migrations {
		s.exec(t, sql)
	}
	s.exec(t, "UPDATE people SET email = 'b'; DELETE FROM work")
	_, err := replication.EndUpgrade(t.Context(), s.cfg)
	require.ErrorContains(t, err, "column raw of table public.people is missing, want a column of the table; fix: ")
	s.exec(t, "ALTER TABLE people ADD COLUMN raw bytea")
	require.Equal(t, []string{
		"column id of table public.people is integer, and was bigint",
		"column mark of table public.work is character varying(9), and was text",
	}, s.end(t).Changes)
	require.Empty(t, s.wrong(t))
}

func TestBothEndsOfAnUpgradeMayBeRunTwiceAndLeaveNothingBehind(t *testing.T) {
	s := newSchool(t)
	if s.withoutLists(t) {
		return
	}
	s.exec(t, "COMMENT ON PUBLICATION schoolbell IS 'ask Ada''s team\nfirst'")
	now := time.Date(2026, 11, 28, 9, 0, 0, 5, time.UTC)
	u, err := replication.BeginUpgrade(t.Context(), s.cfg, now)
	require.NoError(t, err)
	require.Len(t, u.Statements, 2)
	require.Equal(t, widens, u.Statements[0])
	for range 2 {
		for _, sql := range u.Statements { // as a DBA would
			s.exec(t, sql)
		}
		require.Regexp(t, `^ask Ada's team\nfirst\nschoolbell: widened for an upgrade of the LMS since 2026-11-28T09:00:00Z; when it is over, run: schoolbell upgrade end\nschoolbell: the tables then: \{.*\}$`, s.comment(t))
	}
	again := s.begin(t)
	require.Empty(t, again.Statements)
	require.Equal(t, now.Truncate(time.Second), again.Since)

	u = s.end(t)
	require.Equal(t, []string{narrows, "COMMENT ON PUBLICATION \"schoolbell\" IS 'ask Ada''s team\nfirst'"}, u.Statements)
	require.Equal(t, now.Truncate(time.Second), u.Since)
	require.Empty(t, u.Changes)
	require.Equal(t, "ask Ada's team\nfirst", s.comment(t))
	again = s.end(t)
	require.Equal(t, &replication.Upgrade{}, again)

	// init ends it as well.
	s.exec(t, "COMMENT ON PUBLICATION schoolbell IS NULL")
	s.begin(t)
	require.NoError(t, replication.Init(t.Context(), s.cfg))
	require.Empty(t, s.comment(t))
	require.Empty(t, s.wrong(t))
}

// An upgrade that somebody began twice, or interrupted, is gone on with.
func TestWhatIsListedAgainWithinAnUpgradeIsWidenedAgain(t *testing.T) {
	s := newSchool(t)
	if s.withoutLists(t) {
		return
	}
	since := s.begin(t).Since
	s.exec(t, narrows)
	u := s.begin(t)
	require.Equal(t, []string{widens}, u.Statements)
	require.Equal(t, since, u.Since)
}

func TestAPublicationThatIsWidenedForAnUpgradeIsNotCalledWrong(t *testing.T) {
	s, k := upgradable(t), newSink()
	if s.withoutLists(t) {
		return
	}
	r := s.following(t, k)
	since := s.begin(t).Since
	says := `publication "schoolbell" is widened for an upgrade of the LMS since ` + since.Format(time.RFC3339) +
		": all columns of its tables are sent, want only the profile's when the upgrade is over; fix: schoolbell upgrade end, when it is over"
	until(t, "it is seen", func() bool { return r.Status().Upgrade != nil })
	require.EqualError(t, r.Status().Upgrade, says)
	require.NoError(t, r.Status().Health)
	require.Empty(t, s.wrong(t))
	require.Contains(t, s.advice(t), says)
	s.exec(t, "INSERT INTO people (id, password) VALUES (3, 'secret')")
	s.agree(t, k)
	require.Equal(t, 1, k.snapshots(), "nothing is read again")

	// What breaks the LMS or us is wrong all the same.
	s.exec(t, "ALTER PUBLICATION schoolbell DROP TABLE people")
	until(t, "it is seen", func() bool { return r.Status().Health != nil })
	require.ErrorContains(t, r.Status().Health, `publication "schoolbell" is without table public.people`)
	s.ends(t, r, k)
}

func TestAGatewayThatStartsWithinAnUpgradeGoesOn(t *testing.T) {
	s := upgradable(t)
	if s.withoutLists(t) {
		return
	}
	k := s.followed(t)
	s.begin(t)
	s.missed(t)
	r, stop := s.run(t, k, k.checkpoint())
	s.agree(t, k)
	require.Equal(t, 1, k.resets)
	require.NoError(t, r.Status().Health)
	require.Error(t, r.Status().Upgrade)
	require.NoError(t, stop())
	s.end(t)
	s.recovers(t, k, replication.TablesReplaced)
}

// A table that is made anew within an upgrade is compared when that is over, and not in
// the middle of it.
func TestWithinAnUpgradeTheTablesAreNotReadAgain(t *testing.T) {
	s, k := upgradable(t), newSink()
	if s.withoutLists(t) {
		return
	}
	r := s.following(t, k)
	since := s.begin(t).Since.Format(time.RFC3339)
	s.exec(t, "DROP TABLE work; CREATE TABLE work (note text, assignment int, student int, mark text, PRIMARY KEY (student, assignment))")
	s.exec(t, "ALTER PUBLICATION schoolbell ADD TABLE work")
	s.exec(t, "INSERT INTO work VALUES ('', 5, 5, 'anew')")
	until(t, "it says for what it waits", func() bool { return strings.Contains(r.Status().Reason, "widened") })
	require.Regexp(t, `^publication "schoolbell" is widened for an upgrade of the LMS since `+since+`: all columns of its tables are sent, `+
		`and the tables have to be read again when it is over \(.*made anew.*\), want only the profile's when the upgrade is over; fix: schoolbell upgrade end, when it is over$`, r.Status().Reason)
	require.Equal(t, 1, k.snapshots())
	s.ends(t, r, k)
}

func TestWithoutAPublicationThereIsNothingToWiden(t *testing.T) {
	s := bareSchool(t, pgtest.Database(t))
	if pgtest.Server(t).Major() < listsFrom {
		require.Equal(t, pgtest.Server(t).Major(), s.begin(t).NoLists)
		return
	}
	_, err := replication.BeginUpgrade(t.Context(), s.cfg, time.Now())
	require.EqualError(t, err, `publication "schoolbell" is missing, want the one that schoolbell reads; fix: configure its name; where there is none yet, nothing can keep the LMS from being migrated`)
	_, err = replication.EndUpgrade(t.Context(), s.cfg)
	require.NoError(t, err, "it is made")
	s.cfg.Slot = "-"
	_, err = replication.BeginUpgrade(t.Context(), s.cfg, time.Now())
	require.ErrorContains(t, err, "slot name is")
}
