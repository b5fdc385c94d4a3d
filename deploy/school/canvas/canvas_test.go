package canvas_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/deploy/school"
	"github.com/schoolbell/schoolbell/deploy/school/canvas"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func small() school.Size {
	return school.Size{Teachers: 4, Tutors: 3, Admins: 1, Students: 60, Assignments: 60}
}

func populated(t testing.TB, seed uint64) (*canvas.School, *pgx.Conn) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pgtest.Database(t))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	require.NoError(t, canvas.Create(t.Context(), conn))
	s, err := canvas.Populate(t.Context(), conn, small(), seed)
	require.NoError(t, err)
	return s, conn
}

func one[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) T {
	t.Helper()
	var v T
	require.NoError(t, conn.QueryRow(t.Context(), sql, args...).Scan(&v), sql)
	return v
}

func TestTheTablesAreThoseOfTheRealCanvas(t *testing.T) {
	_, conn := populated(t, 1)
	for table, identity := range map[string]string{
		"accounts": "root_account_id id", "users": "root_account_ids id", "account_users": "root_account_id id", "courses": "root_account_id id",
		"course_sections": "root_account_id id", "course_account_associations": "root_account_id id", "enrollments": "root_account_id id",
		"communication_channels": "id", "assignments": "id", "submissions": "id",
	} {
		require.Equal(t, "id", one[string](t, conn, `SELECT string_agg(attname, ' ') FROM pg_index JOIN pg_attribute
			ON attrelid = indrelid AND attnum = ANY (indkey) WHERE indisprimary AND indrelid = $1::regclass`, table))
		require.Equal(t, identity, one[string](t, conn, `SELECT string_agg(attname, ' ' ORDER BY n) FROM pg_index i, unnest(indkey) WITH ORDINALITY k (attnum, n)
			JOIN pg_attribute a USING (attnum) WHERE i.indexrelid = pg_get_replica_identity_index($1::regclass) AND a.attrelid = i.indrelid`, table))
	}
	require.Zero(t, one[int](t, conn, "SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid "+
		"WHERE relnamespace = 'public'::regnamespace AND atttypid = 'timestamptz'::regtype"), "times have no zone")
	require.Zero(t, one[int](t, conn, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"))
}

func TestATermOfWorkIsAlreadyThere(t *testing.T) {
	s, conn := populated(t, 1)
	require.Len(t, s.Students, 60)
	require.Len(t, s.Deans, 2)
	for what, sql := range map[string]string{
		"drafts of assignments":           "SELECT count(*) FROM assignments WHERE workflow_state = 'unpublished'",
		"open assignments":                "SELECT count(*) FROM assignments WHERE workflow_state = 'published' AND (lock_at IS NULL OR lock_at > timezone('utc', now()))",
		"locked assignments":              "SELECT count(*) FROM assignments WHERE workflow_state = 'published' AND lock_at < timezone('utc', now())",
		"deleted assignments":             "SELECT count(*) FROM assignments WHERE workflow_state = 'deleted'",
		"descriptions out of line":        "SELECT count(*) FROM assignments WHERE length(description) > 10000",
		"a course in preparation":         "SELECT count(*) FROM courses WHERE workflow_state = 'claimed'",
		"a concluded course":              "SELECT count(*) FROM courses WHERE workflow_state = 'completed'",
		"not handed in":                   "SELECT count(*) FROM submissions WHERE workflow_state = 'unsubmitted'",
		"handed in and not graded":        "SELECT count(*) FROM submissions WHERE workflow_state = 'submitted' AND score IS NULL",
		"graded nought":                   "SELECT count(*) FROM submissions WHERE score = 0",
		"graded and hidden":               "SELECT count(*) FROM submissions WHERE score IS NOT NULL AND posted_at IS NULL",
		"graded by nobody":                "SELECT count(*) FROM submissions WHERE grader_id < 0",
		"excused":                         "SELECT count(*) FROM submissions WHERE excused",
		"deleted submissions":             "SELECT count(*) FROM submissions WHERE workflow_state = 'deleted'",
		"students who are only invited":   "SELECT count(*) FROM enrollments WHERE workflow_state = 'invited'",
		"assistants limited to a section": "SELECT count(*) FROM enrollments WHERE type = 'TaEnrollment' AND limit_privileges_to_course_section",
		"admins of a sub-account":         "SELECT count(*) FROM account_users u JOIN accounts a ON a.id = u.account_id WHERE parent_account_id IS NOT NULL",
		"second channels":                 "SELECT count(*) FROM communication_channels WHERE position > 1",
		"versions":                        "SELECT count(*) FROM versions",
	} {
		require.Positive(t, one[int](t, conn, sql), what)
	}
	require.Zero(t, one[int](t, conn, wrong))
	require.Zero(t, one[int](t, conn, "SELECT count(*) FROM submissions s WHERE NOT EXISTS (SELECT FROM enrollments e WHERE e.user_id = s.user_id AND e.course_id = s.course_id)"))
	for _, p := range s.Teachers {
		require.Equal(t, p.Email, one[string](t, conn, "SELECT path FROM communication_channels WHERE user_id = $1 AND path_type = 'email' AND workflow_state = 'active' ORDER BY position LIMIT 1", p.ID))
	}
}

// wrong counts submissions that Canvas would not have.
const wrong = `SELECT count(*) FROM submissions WHERE (submission_type IS NULL) <> (submitted_at IS NULL) OR (attempt IS NULL) <> (submitted_at IS NULL)
	OR (score IS NULL) <> (grade IS NULL) OR excused AND score IS NOT NULL OR workflow_state = 'unsubmitted' AND submitted_at IS NOT NULL
	OR workflow_state IN ('submitted', 'pending_review') AND submitted_at IS NULL OR workflow_state = 'unsubmitted' AND (score IS NOT NULL OR excused)`

func TestEverythingThatCanvasDoesHappens(t *testing.T) {
	s, conn := populated(t, 1)
	seen, most := map[string]int{}, map[string]int{}
	for range 3000 {
		op, err := s.Step(t.Context(), conn)
		require.NoError(t, err)
		require.Positive(t, op.User, op.Kind)
		require.Positive(t, op.Rows, op.Kind)
		seen[op.Kind]++
		most[op.Kind] = max(most[op.Kind], op.Rows)
	}
	for _, kind := range []string{
		canvas.Submit, canvas.Resubmit, canvas.SaveAgain, canvas.Grade, canvas.Regrade, canvas.Ungrade, canvas.Excuse, canvas.Quiz, canvas.Post,
		canvas.Publish, canvas.MoveDue, canvas.Lock, canvas.Unpublish, canvas.Delete, canvas.Restore, canvas.CopyCourse, canvas.Offer, canvas.Conclude,
		canvas.Enrol, canvas.Drop, canvas.Return, canvas.Limit, canvas.Channel, canvas.LogIn, canvas.Browse,
	} {
		require.Positive(t, seen[kind], kind)
	}
	require.Greater(t, most[canvas.Publish], 20, "a row for every student")
	require.Greater(t, most[canvas.MoveDue], 20, "every row again")
	require.Greater(t, most[canvas.CopyCourse], 100, "all assignments of a course at once")
	require.Greater(t, most[canvas.Post], 1, "all that was hidden in one UPDATE")
	require.Zero(t, one[int](t, conn, wrong))
	require.LessOrEqual(t, one[int](t, conn, `SELECT count(*) FROM assignments a JOIN courses c ON c.id = context_id WHERE c.workflow_state = 'available'
		AND a.workflow_state = 'published' AND lock_at IS NULL`), 60, "the number of open assignments is bounded")
}

// meaning sums up what the profile reads of the submissions.
const meaning = `SELECT md5(string_agg(concat_ws('|', id, assignment_id, user_id, workflow_state, submission_type, submitted_at, attempt, score, grade,
	graded_at, excused, grader_id, posted_at), ',' ORDER BY id)) FROM submissions`

func TestASaveThatChangesNothingWritesARowAndMeansNothing(t *testing.T) {
	s, conn := populated(t, 3)
	again, due := 0, 0
	for range 400 {
		before, version := one[string](t, conn, meaning), rows(t, conn)
		op, err := s.Step(t.Context(), conn)
		require.NoError(t, err)
		after := one[string](t, conn, meaning)
		switch op.Kind {
		case canvas.SaveAgain:
			again++
			require.NotEqual(t, version, rows(t, conn), "no row was written")
			require.Equal(t, before, after)
		case canvas.MoveDue:
			due++
			require.Equal(t, before, after)
		case canvas.Submit, canvas.Resubmit, canvas.Grade, canvas.Ungrade, canvas.Excuse, canvas.Post:
			require.NotEqual(t, before, after, op.Kind)
		case canvas.LogIn, canvas.Browse, canvas.Lock, canvas.CopyCourse, canvas.Channel:
			require.Equal(t, version, rows(t, conn), op.Kind)
		}
	}
	require.Positive(t, again)
	require.Positive(t, due)
}

// rows sums up the row versions of the submissions.
func rows(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	return one[string](t, conn, "SELECT md5(string_agg(ctid::text, ',' ORDER BY id)) FROM submissions")
}

func TestTheSameSeedGivesTheSameWork(t *testing.T) {
	story := func(seed uint64) (ops []school.Operation, sums string) {
		s, conn := populated(t, seed)
		for range 300 {
			op, err := s.Step(t.Context(), conn)
			require.NoError(t, err)
			ops = append(ops, op)
		}
		var b strings.Builder
		for _, sql := range []string{
			"SELECT md5(string_agg(concat_ws('|', id, name, workflow_state, uuid), ',' ORDER BY id)) FROM users",
			"SELECT md5(string_agg(concat_ws('|', id, path, position, workflow_state), ',' ORDER BY id)) FROM communication_channels",
			"SELECT md5(string_agg(concat_ws('|', id, user_id, course_id, type, workflow_state, limit_privileges_to_course_section), ',' ORDER BY id)) FROM enrollments",
			"SELECT md5(string_agg(concat_ws('|', id, title, description, workflow_state, due_at IS NULL, lock_at IS NULL), ',' ORDER BY id)) FROM assignments",
			"SELECT md5(string_agg(concat_ws('|', id, assignment_id, user_id, workflow_state, attempt, score, excused, body), ',' ORDER BY id)) FROM submissions",
			"SELECT md5(string_agg(concat_ws('|', id, versionable_id, number), ',' ORDER BY id)) FROM versions",
		} {
			b.WriteString(one[string](t, conn, sql) + "\n")
		}
		return ops, b.String()
	}
	ops, sums := story(7)
	sameOps, sameSums := story(7)
	require.Equal(t, ops, sameOps)
	require.Equal(t, sums, sameSums)
	otherOps, otherSums := story(8)
	require.NotEqual(t, ops, otherOps)
	require.NotEqual(t, sums, otherSums)
}

func TestASchoolOfNobodyIsRefused(t *testing.T) {
	conn, err := pgx.Connect(t.Context(), pgtest.Database(t))
	require.NoError(t, err)
	defer conn.Close(t.Context())
	_, err = canvas.Populate(t.Context(), conn, school.Size{Teachers: 1}, 1)
	require.ErrorContains(t, err, "1 teachers and 0 students, want at least one of each")
}

func TestASchoolLivesUntilItIsToldToStop(t *testing.T) {
	s, conn := populated(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	said := 0
	log := slog.New(counter{slog.DiscardHandler, func() {
		if said++; said == 20 {
			cancel()
		}
	}})
	require.NoError(t, s.Live(ctx, conn, 0, log))
	require.Equal(t, 20, said)
}

func TestASchoolWithoutItsDatabaseSaysWhatItCouldNotDo(t *testing.T) {
	s, conn := populated(t, 1)
	require.NoError(t, conn.Close(t.Context()))
	err := s.Live(t.Context(), conn, 0, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "canvas: ")
	require.ErrorContains(t, err, "conn closed")
}

// counter is a slog.Handler that calls something for each record.
type counter struct {
	slog.Handler
	each func()
}

func (c counter) Enabled(context.Context, slog.Level) bool { return true }

func (c counter) Handle(context.Context, slog.Record) error {
	c.each()
	return nil
}
