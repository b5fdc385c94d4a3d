package moodle_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/school"
	"github.com/schoolbell/schoolbell/deploy/school/moodle"
)

// until takes steps until one of a kind has been done, and answers it.
func until(t *testing.T, s *moodle.School, conn *pgx.Conn, kind string) school.Operation {
	t.Helper()
	for range 3000 {
		op, err := s.Step(t.Context(), conn)
		require.NoError(t, err)
		if op.Kind == kind {
			return op
		}
	}
	t.Fatalf("nobody did %q", kind)
	return school.Operation{}
}

// commits is how many transactions that write have been, up to one of our own.
func commits(t *testing.T, conn *pgx.Conn) int64 {
	t.Helper()
	return one[int64](t, conn, "SELECT pg_current_xact_id()::text::bigint")
}

func TestEveryStatementIsATransactionOfItsOwnButForANewActivity(t *testing.T) {
	s, conn := populated(t, 3)
	for range 400 {
		before := commits(t, conn)
		op, err := s.Step(t.Context(), conn)
		require.NoError(t, err)
		done := commits(t, conn) - before - 1
		switch op.Kind {
		case moodle.SetUp:
			require.Equal(t, int64(3), done, "the activity, its course's page, the log")
		case moodle.Hide, moodle.Delete, moodle.Open, moodle.OpenGrader, moodle.Submit, moodle.Reopen, moodle.Grade, moodle.TeamSubmit, moodle.Duplicate:
			require.Greater(t, done, int64(1), op.Kind)
			require.LessOrEqual(t, done, int64(op.Rows), op.Kind)
		}
	}
}

func TestANewActivityComesBeforeItIsKnownWhatOf(t *testing.T) {
	s, conn := populated(t, 4)
	until(t, s, conn, moodle.SetUp)
	require.Equal(t, 1, one[int](t, conn, `SELECT count(*) FROM mdl_assign a JOIN mdl_course_modules cm ON cm.instance = a.id JOIN mdl_context c ON c.contextlevel = 70 AND c.instanceid = cm.id
		WHERE a.id = (SELECT max(id) FROM mdl_assign) AND a.xmin::text = cm.xmin::text AND a.xmin::text = c.xmin::text`), "all in one transaction")
	until(t, s, conn, moodle.Duplicate)
	require.Equal(t, 1, one[int](t, conn, `SELECT count(*) FROM mdl_assign a JOIN mdl_course_modules cm ON cm.instance = a.id
		WHERE a.id = (SELECT max(id) FROM mdl_assign) AND a.name LIKE '% (copy)' AND a.xmin::text::bigint > cm.xmin::text::bigint`), "a copy is renamed when it is there")
}

func TestAFirstGradeIsThreeTransactions(t *testing.T) {
	s, conn := populated(t, 5)
	for range 20 {
		until(t, s, conn, moodle.Grade)
		var grade, book int64
		var kept bool
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT g.xmin::text::bigint, coalesce(b.xmin::text::bigint, 0), a.markingworkflow = 1 OR a.blindmarking = 1 AND a.revealidentities = 0
			FROM mdl_assign_grades g JOIN mdl_assign a ON a.id = g.assignment JOIN mdl_grade_items i ON i.iteminstance = a.id
			LEFT JOIN mdl_grade_grades b ON b.itemid = i.id AND b.userid = g.userid ORDER BY g.xmin::text::bigint DESC LIMIT 1`).Scan(&grade, &book, &kept))
		require.Equal(t, !kept, book > grade, "the gradebook comes last, unless it has to wait")
	}
}

func TestASaveThatChangesNothingWritesARow(t *testing.T) {
	s, conn := populated(t, 6)
	const meaning = `SELECT md5(string_agg(concat_ws('|', id, assignment, userid, groupid, status, attemptnumber, latest), ',' ORDER BY id)) FROM mdl_assign_submission`
	const versions = `SELECT md5(string_agg(ctid::text, ',' ORDER BY id)) FROM mdl_assign_submission`
	saved := 0
	for range 300 {
		before, version := one[string](t, conn, meaning), one[string](t, conn, versions)
		op, err := s.Step(t.Context(), conn)
		require.NoError(t, err)
		switch op.Kind {
		case moodle.SaveAgain:
			saved++
			require.Equal(t, before, one[string](t, conn, meaning))
			require.NotEqual(t, version, one[string](t, conn, versions))
		case moodle.Open, moodle.Draft, moodle.Submit, moodle.TeamSubmit, moodle.Reopen, moodle.Revert:
			require.NotEqual(t, before, one[string](t, conn, meaning), op.Kind)
		}
	}
	require.Positive(t, saved)
}
