package school_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/school"
)

func TestEverythingASchoolDoesHappens(t *testing.T) {
	s, conn := populated(t, small(), 1)
	seen := map[string]int{}
	most := map[string]int{}
	for range 2000 {
		op, err := s.Step(t.Context(), conn)
		require.NoError(t, err)
		require.Positive(t, op.User)
		require.Positive(t, op.Rows, op.Kind)
		seen[op.Kind]++
		most[op.Kind] = max(most[op.Kind], op.Rows)
	}
	for _, kind := range []string{school.Publish, school.Close, school.Draft, school.SaveAgain, school.HandIn,
		school.GradeOne, school.GradeAll, school.LogIn, school.Browse} {
		require.Positive(t, seen[kind], kind)
	}
	require.Greater(t, most[school.GradeAll], 1, "one UPDATE of several rows")
	require.Equal(t, 1, most[school.HandIn])
	require.Zero(t, one[int](t, conn, "SELECT count(*) FROM assignments_assignmentsubmission WHERE (grade IS NOT NULL AND submitted_at IS NULL) "+
		"OR (status = 'draft') <> (submitted_at IS NULL) OR (status IN ('graded', 'returned')) <> (grade IS NOT NULL)"))
}

// meaning sums up what the django profile reads of the submissions.
const meaning = `SELECT md5(string_agg(concat_ws('|', id, assignment_id, student_id, submitted_at, grade), ',' ORDER BY id))
	FROM assignments_assignmentsubmission`

func TestASaveThatChangesNothingWritesARowAndMeansNothing(t *testing.T) {
	s, conn := populated(t, small(), 3)
	saved := 0
	for range 400 {
		before, version := one[string](t, conn, meaning), versions(t, conn)
		op, err := s.Step(t.Context(), conn)
		require.NoError(t, err)
		after := one[string](t, conn, meaning)
		switch op.Kind {
		case school.SaveAgain:
			saved++
			require.Equal(t, before, after)
			require.NotEqual(t, version, versions(t, conn), "no row was written")
		case school.Draft, school.HandIn:
			require.NotEqual(t, before, after, op.Kind)
		case school.Publish, school.Close, school.LogIn, school.Browse:
			require.Equal(t, before, after, op.Kind)
			require.Equal(t, version, versions(t, conn), op.Kind)
		}
	}
	require.Positive(t, saved)
}

// versions sums up the row versions of the submissions.
func versions(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	return one[string](t, conn, "SELECT md5(string_agg(ctid::text, ',' ORDER BY id)) FROM assignments_assignmentsubmission")
}

func TestOpenAssignmentsAndSessionsStayBounded(t *testing.T) {
	s, conn := populated(t, small(), 5)
	const open = "SELECT count(*) FROM assignments_assignment WHERE status <> 'closed'"
	const sessions = "SELECT count(*) FROM django_session"
	openBefore, sessionsBefore := one[int](t, conn, open), one[int](t, conn, sessions)
	published := 0
	for range 3000 {
		op, err := s.Step(t.Context(), conn)
		require.NoError(t, err)
		if op.Kind == school.Publish {
			published++
		}
	}
	require.Greater(t, published, 20)
	// A quarter of the term's assignments is what a school keeps open.
	require.LessOrEqual(t, one[int](t, conn, open), max(openBefore, small().Assignments/4+1))
	require.Equal(t, sessionsBefore, one[int](t, conn, sessions))
}

func BenchmarkPopulate(b *testing.B) {
	size := school.Size{Teachers: 20, Tutors: 5, Admins: 2, Students: 500, Assignments: 200}
	for b.Loop() {
		b.StopTimer()
		conn := emptyDatabase(b)
		b.StartTimer()
		_, err := school.Populate(b.Context(), conn, size, 1)
		require.NoError(b, err)
	}
}

func BenchmarkStep(b *testing.B) {
	conn := emptyDatabase(b)
	s, err := school.Populate(b.Context(), conn, small(), 1)
	require.NoError(b, err)
	for b.Loop() {
		_, err := s.Step(b.Context(), conn)
		require.NoError(b, err)
	}
}
