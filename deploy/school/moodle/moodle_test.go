package moodle_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/deploy/school"
	"github.com/schoolbell/schoolbell/deploy/school/moodle"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func small() school.Size {
	return school.Size{Teachers: 4, Tutors: 2, Admins: 2, Students: 60, Assignments: 40}
}

func emptyDatabase(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pgtest.Database(t))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	require.NoError(t, moodle.Create(t.Context(), conn))
	return conn
}

func populated(t *testing.T, seed uint64) (*moodle.School, *pgx.Conn) {
	t.Helper()
	conn := emptyDatabase(t)
	s, err := moodle.Populate(t.Context(), conn, small(), seed)
	require.NoError(t, err)
	return s, conn
}

func one[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) T {
	t.Helper()
	var v T
	require.NoError(t, conn.QueryRow(t.Context(), sql, args...).Scan(&v), sql)
	return v
}

func TestTheTablesAreMoodlesOwn(t *testing.T) {
	_, conn := populated(t, 1)
	const tables = "FROM pg_class c WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
	require.Equal(t, 25, one[int](t, conn, "SELECT count(*) "+tables))
	require.Zero(t, one[int](t, conn, "SELECT count(*) "+tables+" AND (relname NOT LIKE 'mdl\\_%' OR relreplident <> 'd')"))
	require.Zero(t, one[int](t, conn, "SELECT count(*) "+tables+` AND NOT EXISTS (SELECT FROM pg_index JOIN pg_attribute
		ON attrelid = indrelid AND attnum = ANY (indkey) WHERE indrelid = c.oid AND indisprimary AND attname = 'id' AND atttypid = 'bigint'::regtype)`),
		"every table has the primary key id")
	require.Zero(t, one[int](t, conn, "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace"), "Moodle makes no foreign keys")
	require.Zero(t, one[int](t, conn, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"))
	require.Equal(t, "numeric(10,5)", one[string](t, conn, "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'mdl_assign_grades'::regclass AND attname = 'grade'"))
}

func TestATermOfWorkIsAlreadyThere(t *testing.T) {
	s, conn := populated(t, 1)
	require.Len(t, s.Teachers, 4)
	require.Len(t, s.Tutors, 2)
	require.Len(t, s.Admins, 2)
	require.Len(t, s.Students, 60)
	for what, sql := range map[string]string{
		"an admin by the settings":    "SELECT count(*) FROM mdl_config WHERE name = 'siteadmins' AND value <> ''",
		"a manager of the site":       "SELECT count(*) FROM mdl_role_assignments WHERE roleid = 1 AND contextid = 1",
		"hidden assignments":          "SELECT count(*) FROM mdl_course_modules WHERE visible = 0",
		"assignments in teams":        "SELECT count(*) FROM mdl_assign WHERE teamsubmission = 1",
		"anonymous assignments":       "SELECT count(*) FROM mdl_assign WHERE blindmarking = 1",
		"marking workflows":           "SELECT count(*) FROM mdl_assign WHERE markingworkflow = 1",
		"grades by a scale":           "SELECT count(*) FROM mdl_assign_grades g JOIN mdl_assign a ON a.id = assignment WHERE a.grade < 0 AND g.grade > 0",
		"cut-offs that have passed":   "SELECT count(*) FROM mdl_assign WHERE cutoffdate > 0 AND cutoffdate < extract(epoch FROM now())",
		"assignments without a date":  "SELECT count(*) FROM mdl_assign WHERE duedate = 0",
		"courses in separate groups":  "SELECT count(*) FROM mdl_course WHERE groupmode = 1 AND groupmodeforce = 1",
		"drafts":                      "SELECT count(*) FROM mdl_assign_submission WHERE status = 'draft'",
		"opened forms":                "SELECT count(*) FROM mdl_assign_submission WHERE status = 'new'",
		"handed in and not graded":    "SELECT count(*) FROM mdl_assign_submission s WHERE status = 'submitted' AND userid <> 0 AND NOT EXISTS (SELECT FROM mdl_assign_grades g WHERE g.userid = s.userid AND g.assignment = s.assignment)",
		"teams' rows":                 "SELECT count(*) FROM mdl_assign_submission WHERE userid = 0 AND groupid > 0",
		"grades that are kept back":   "SELECT count(*) FROM mdl_grade_grades WHERE finalgrade IS NULL",
		"accounts by single sign-on":  "SELECT count(*) FROM mdl_user WHERE auth = 'saml2'",
		"intros that are out of line": "SELECT count(*) FROM mdl_assign WHERE length(intro) > 10000",
		"sessions":                    "SELECT count(*) FROM mdl_sessions",
	} {
		require.Positive(t, one[int](t, conn, sql), what)
	}
	for _, p := range s.Students {
		require.Empty(t, p.Token)
	}
	require.Equal(t, s.Tutors[0].Email, one[string](t, conn, "SELECT email FROM mdl_user WHERE id = $1", s.Tutors[0].ID))
	require.Zero(t, one[int](t, conn, `SELECT count(*) FROM mdl_context c WHERE path <> coalesce((SELECT p.path FROM mdl_context p
		WHERE p.id = nullif(split_part(c.path, '/', c.depth), '')::bigint), '') || '/' || id OR depth <> length(path) - length(replace(path, '/', ''))`), "paths that do not lead there")
}

func TestTheSameSeedGivesTheSameWork(t *testing.T) {
	story := func(seed uint64) (ops []school.Operation, rows string) {
		s, conn := populated(t, seed)
		for range 500 {
			op, err := s.Step(t.Context(), conn)
			require.NoError(t, err)
			ops = append(ops, op)
		}
		var b strings.Builder
		for _, sql := range []string{
			"SELECT md5(string_agg(concat_ws('|', id, firstname, lastname, suspended, deleted), ',' ORDER BY id)) FROM mdl_user",
			"SELECT md5(string_agg(concat_ws('|', id, course, name, intro, duedate = 0, cutoffdate = 0), ',' ORDER BY id)) FROM mdl_assign",
			"SELECT md5(string_agg(concat_ws('|', id, assignment, userid, groupid, status, attemptnumber, latest), ',' ORDER BY id)) FROM mdl_assign_submission",
			"SELECT md5(string_agg(concat_ws('|', id, assignment, userid, grade, attemptnumber), ',' ORDER BY id)) FROM mdl_assign_grades",
			"SELECT md5(string_agg(concat_ws('|', id, enrolid, userid, status, timeend = 0), ',' ORDER BY id)) FROM mdl_user_enrolments",
		} {
			b.WriteString(one[string](t, conn, sql) + "\n")
		}
		return ops, b.String()
	}
	ops, rows := story(7)
	sameOps, sameRows := story(7)
	require.Equal(t, ops, sameOps)
	require.Equal(t, rows, sameRows)
	otherOps, otherRows := story(8)
	require.NotEqual(t, ops, otherOps)
	require.NotEqual(t, rows, otherRows)
}

func TestASchoolOfNobodyIsRefused(t *testing.T) {
	_, err := moodle.Populate(t.Context(), emptyDatabase(t), school.Size{Teachers: 1}, 1)
	require.ErrorContains(t, err, "1 teachers and 0 students, want at least one of each")
}

func TestASchoolWithoutItsDatabaseSaysWhatItCouldNotDo(t *testing.T) {
	s, conn := populated(t, 1)
	require.NoError(t, conn.Close(t.Context()))
	err := s.Live(t.Context(), conn, 0, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "school: ")
	require.ErrorContains(t, err, "conn closed")
}

// kinds are all kinds of operations.
func kinds() []string {
	return []string{
		moodle.SetUp, moodle.Duplicate, moodle.Hide, moodle.Show, moodle.CutOff, moodle.Extend, moodle.Delete, moodle.Cron, moodle.Open,
		moodle.Draft, moodle.Submit, moodle.SaveAgain, moodle.TeamSubmit, moodle.Revert, moodle.Reopen, moodle.OpenGrader, moodle.Grade,
		moodle.GradeAgain, moodle.ClearGrade, moodle.TeamGrade, moodle.GradeAll, moodle.Release, moodle.Reveal, moodle.Enrol, moodle.Unenrol,
		moodle.SuspendEnrol, moodle.ExpireEnrol, moodle.Suspend, moodle.DeletePerson, moodle.CategoryRole, moodle.MoveGroup, moodle.GroupMode,
		moodle.LogIn, moodle.Browse,
	}
}

func TestEverythingASchoolDoesHappensAndItStaysBounded(t *testing.T) {
	s, conn := populated(t, 1)
	seen := map[string]int{}
	for range 3000 {
		op, err := s.Step(t.Context(), conn)
		require.NoError(t, err)
		require.Positive(t, op.User, op.Kind)
		require.Positive(t, op.Rows, op.Kind)
		seen[op.Kind]++
	}
	for _, kind := range kinds() {
		require.Positive(t, seen[kind], kind)
	}
	require.Less(t, seen[moodle.Browse], 2500, "mostly there is something to do")
	require.LessOrEqual(t, one[int](t, conn, "SELECT count(*) FROM mdl_course_modules WHERE deletioninprogress = 0"), small().Assignments)
	require.LessOrEqual(t, one[int](t, conn, "SELECT count(*) FROM mdl_user WHERE username LIKE 'student%' AND deleted = 0"), small().Students)
	require.Zero(t, one[int](t, conn, "SELECT count(*) FROM mdl_course_modules WHERE instance = 0"), "what was begun was finished")
	require.Zero(t, one[int](t, conn, "SELECT count(*) FROM (SELECT FROM mdl_assign_submission WHERE latest = 1 GROUP BY assignment, userid, groupid HAVING count(*) > 1) s"))
	require.Zero(t, one[int](t, conn, `SELECT count(*) FROM mdl_user u WHERE deleted = 1 AND EXISTS (SELECT FROM mdl_role_assignments r WHERE r.userid = u.id)`))
	require.Zero(t, one[int](t, conn, `SELECT count(*) FROM mdl_assign_user_flags f JOIN mdl_grade_items i ON i.iteminstance = f.assignment JOIN mdl_grade_grades g ON g.itemid = i.id AND g.userid = f.userid
		WHERE workflowstate <> 'released' AND finalgrade IS NOT NULL AND NOT EXISTS (SELECT FROM mdl_assign_grades x WHERE x.assignment = f.assignment AND x.userid = f.userid AND x.grade >= 0)`))
}
