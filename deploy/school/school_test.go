package school_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/deploy/school"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func small() school.Size {
	return school.Size{Teachers: 4, Tutors: 2, Admins: 1, Students: 60, Assignments: 40}
}

func emptyDatabase(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pgtest.Database(t))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	require.NoError(t, school.Create(t.Context(), conn))
	return conn
}

func populated(t testing.TB, size school.Size, seed uint64) (*school.School, *pgx.Conn) {
	t.Helper()
	conn := emptyDatabase(t)
	s, err := school.Populate(t.Context(), conn, size, seed)
	require.NoError(t, err)
	return s, conn
}

func one[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) T {
	t.Helper()
	var v T
	require.NoError(t, conn.QueryRow(t.Context(), sql, args...).Scan(&v), sql)
	return v
}

// published are the tables that the django profile reads.
func published() []string {
	return []string{"accounts_user", "accounts_studentprofile", "assignments_assignment",
		"assignments_assignment_assigned_to", "assignments_assignmentsubmission"}
}

func TestTheTablesAreThoseOfARealPlatform(t *testing.T) {
	_, conn := populated(t, small(), 1)
	for _, table := range published() {
		require.Equal(t, "id", one[string](t, conn, `SELECT string_agg(attname, ' ') FROM pg_index JOIN pg_attribute
			ON attrelid = indrelid AND attnum = ANY (indkey) WHERE indisprimary AND indrelid = $1::regclass`, table))
		require.Equal(t, "bigint", one[string](t, conn, `SELECT format_type(atttypid, NULL) FROM pg_attribute
			WHERE attrelid = $1::regclass AND attname = 'id' AND attidentity = 'd'`, table))
		require.Equal(t, "d", one[string](t, conn, "SELECT relreplident::text FROM pg_class WHERE oid = $1::regclass", table))
	}
	require.Equal(t, 5, one[int](t, conn, "SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid "+
		"WHERE attisdropped AND relnamespace = 'public'::regnamespace"), "holes that dropped columns leave")
	require.Zero(t, one[int](t, conn, "SELECT count(*) FROM pg_constraint WHERE contype = 'f' "+
		"AND (confdeltype <> 'a' OR NOT condeferrable OR NOT condeferred) AND connamespace = 'public'::regnamespace"))
	require.Zero(t, one[int](t, conn, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"))
}

func TestATermOfWorkIsAlreadyThere(t *testing.T) {
	size := school.Size{Teachers: 20, Tutors: 5, Admins: 2, Students: 500, Assignments: 200}
	s, conn := populated(t, size, 1)
	require.Len(t, s.Teachers, 20)
	require.Len(t, s.Tutors, 5)
	require.Len(t, s.Admins, 2)
	require.Len(t, s.Students, 500)
	for what, sql := range map[string]string{
		"drafts of assignments":        "SELECT count(*) FROM assignments_assignment WHERE status = 'draft'",
		"open assignments":             "SELECT count(*) FROM assignments_assignment WHERE status = 'published'",
		"closed assignments":           "SELECT count(*) FROM assignments_assignment WHERE status = 'closed'",
		"assignments without a date":   "SELECT count(*) FROM assignments_assignment WHERE due_date IS NULL",
		"due in the past":              "SELECT count(*) FROM assignments_assignment WHERE due_date < now()",
		"due in the future":            "SELECT count(*) FROM assignments_assignment WHERE due_date > now()",
		"descriptions out of line":     "SELECT count(*) FROM assignments_assignment WHERE length(description) > 10000",
		"drafts of students":           "SELECT count(*) FROM assignments_assignmentsubmission WHERE submitted_at IS NULL AND status = 'draft'",
		"handed in and not graded":     "SELECT count(*) FROM assignments_assignmentsubmission WHERE submitted_at IS NOT NULL AND grade IS NULL",
		"graded":                       "SELECT count(*) FROM assignments_assignmentsubmission WHERE grade > 0",
		"graded nought":                "SELECT count(*) FROM assignments_assignmentsubmission WHERE grade = 0",
		"given to who has not begun":   "SELECT count(*) FROM assignments_assignment_assigned_to a WHERE NOT EXISTS (SELECT FROM assignments_assignmentsubmission s WHERE s.assignment_id = a.assignment_id AND s.student_id = a.user_id)",
		"accounts without a password":  "SELECT count(*) FROM accounts_user WHERE password IS NULL",
		"students without a tutor":     "SELECT count(*) FROM accounts_studentprofile WHERE tutor_id IS NULL",
		"names in Cyrillic":            "SELECT count(*) FROM accounts_user WHERE first_name ~ '[А-я]'",
		"names in CJK":                 "SELECT count(*) FROM accounts_user WHERE last_name ~ '[一-龥]'",
		"quotes in names":              "SELECT count(*) FROM accounts_user WHERE last_name LIKE '%''%'",
		"sessions":                     "SELECT count(*) FROM django_session",
		"toast of a table that we map": "SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE relname = 'assignments_assignment'",
	} {
		require.Positive(t, one[int](t, conn, sql), what)
	}
	require.Zero(t, one[int](t, conn, `SELECT count(*) FROM assignments_assignmentsubmission s WHERE NOT EXISTS
		(SELECT FROM assignments_assignment_assigned_to a WHERE a.assignment_id = s.assignment_id AND a.user_id = s.student_id)`))
	require.Zero(t, one[int](t, conn, "SELECT count(*) FROM assignments_assignmentsubmission WHERE updated_at > now() OR submitted_at > now()"))
}

func TestEverybodyButStudentsHasAToken(t *testing.T) {
	s, conn := populated(t, small(), 1)
	require.Equal(t, 7, one[int](t, conn, "SELECT count(*) FROM authtoken_token"))
	for _, group := range [][]school.Person{s.Admins, s.Teachers, s.Tutors} {
		for _, p := range group {
			require.Len(t, p.Token, 40)
			require.Equal(t, p.Role+" "+p.Email+" "+p.FirstName+" "+p.LastName, one[string](t, conn,
				`SELECT concat_ws(' ', role, email, first_name, last_name) FROM accounts_user JOIN authtoken_token ON user_id = id WHERE key = $1 AND id = $2`, p.Token, p.ID))
		}
	}
	for _, p := range s.Students {
		require.Empty(t, p.Token)
	}
}

func TestTheSameSeedGivesTheSameWork(t *testing.T) {
	story := func(seed uint64) (ops []school.Operation, rows string) {
		s, conn := populated(t, small(), seed)
		for range 300 {
			op, err := s.Step(t.Context(), conn)
			require.NoError(t, err)
			ops = append(ops, op)
		}
		var b strings.Builder
		for _, sql := range []string{
			"SELECT md5(string_agg(concat_ws('|', id, email, first_name, last_name, role, password, last_login IS NULL), ',' ORDER BY id)) FROM accounts_user",
			"SELECT md5(string_agg(concat_ws('|', id, title, description, author_id, status, due_date IS NULL), ',' ORDER BY id)) FROM assignments_assignment",
			"SELECT md5(string_agg(concat_ws('|', id, assignment_id, user_id), ',' ORDER BY id)) FROM assignments_assignment_assigned_to",
			"SELECT md5(string_agg(concat_ws('|', id, assignment_id, student_id, content, status, submitted_at IS NULL, grade), ',' ORDER BY id)) FROM assignments_assignmentsubmission",
			"SELECT md5(string_agg(concat_ws('|', session_key, session_data), ',' ORDER BY session_key)) FROM django_session",
			"SELECT md5(string_agg(concat_ws('|', id, path, user_id), ',' ORDER BY id)) FROM analytics_pageview",
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
	_, err := school.Populate(t.Context(), emptyDatabase(t), school.Size{Teachers: 1}, 1)
	require.ErrorContains(t, err, "1 teachers and 0 students, want at least one of each")
}

// recorder is a slog.Handler that passes records on.
type recorder struct {
	slog.Handler
	each func(slog.Record)
}

func (r recorder) Enabled(context.Context, slog.Level) bool { return true }

func (r recorder) Handle(_ context.Context, record slog.Record) error {
	r.each(record)
	return nil
}

func TestASchoolLivesAtItsRateUntilItIsToldToStop(t *testing.T) {
	s, conn := populated(t, small(), 1)
	ctx, cancel := context.WithCancel(t.Context())
	var said []slog.Record
	log := slog.New(recorder{slog.DiscardHandler, func(r slog.Record) {
		if said = append(said, r); len(said) == 21 {
			cancel()
		}
	}})
	began := time.Now()
	require.NoError(t, s.Live(ctx, conn, 100, log))
	require.GreaterOrEqual(t, time.Since(began), 200*time.Millisecond, "20 waits of 10 ms")
	require.Len(t, said, 21)
	require.Equal(t, slog.LevelDebug, said[0].Level)
}

func TestASchoolWithoutItsDatabaseSaysWhatItCouldNotDo(t *testing.T) {
	s, conn := populated(t, small(), 1)
	require.NoError(t, conn.Close(t.Context()))
	err := s.Live(t.Context(), conn, 0, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "school: ")
	require.ErrorContains(t, err, "conn closed")
}
