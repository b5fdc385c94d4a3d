//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/projection"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// campusRun is a dry run over the campus of the leak test, beside that test's oracle.
type campusRun struct {
	*dryRun
	conn *pgx.Conn
	read map[string]cdc.Row // by table and key
}

// onCampuses has the two campuses read, students included, after some things have
// happened there.
func onCampuses(t *testing.T, use func(t *testing.T, r *campusRun)) {
	for _, make := range []func(*rand.Rand) leakSchool{leakCampus, leakCampusRoles} {
		lms := make(rand.New(rand.NewPCG(7, 7)))
		t.Run(lms.name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			r := &campusRun{conn: connectTo(t, url), read: map[string]cdc.Row{}}
			_, err := lms.fill(t.Context(), r.conn)
			require.NoError(t, err)
			var oracle leakOracle
			oracle.begin(t, r.conn, lms)
			for range 60 {
				tx, err := r.conn.Begin(t.Context())
				require.NoError(t, err)
				if lms.draw()(t.Context(), tx) != nil { // it would have been rolled back
					require.NoError(t, tx.Rollback(t.Context()))
					continue
				}
				require.NoError(t, tx.Commit(t.Context()))
			}
			_, err = r.conn.Exec(t.Context(), `SELECT oracle.refresh()`)
			require.NoError(t, err)
			p, err := profile.Open(lms.profile)
			require.NoError(t, err)
			r.dryRun = &dryRun{
				cfg:     Config{Database: Secret(url), Roles: RoleNames{"teacher", "tutor", "admin", "student"}, Slot: "schoolbell", Publication: "schoolbell"},
				profile: p, progress: io.Discard, seen: r.keep,
			}
			require.NoError(t, r.run(t.Context(), func() error {
				use(t, r)
				return nil
			}))
		})
	}
}

// keep keeps the rows of work. In these tables the key is the first column.
func (r *campusRun) keep(row cdc.Row) {
	if row.Table.Name == "submissions" || row.Table.Name == "assignments" {
		r.read[row.Table.Name+":"+string(row.Values[0].Data)] = ownRow(row)
	}
}

// numbers asks for one row of numbers.
func (r *campusRun) numbers(t *testing.T, sql string) (all []int) {
	t.Helper()
	require.NoError(t, r.conn.QueryRow(t.Context(), "SELECT ARRAY["+sql+"]::int[]").Scan(&all), sql)
	return all
}

func TestADryRunOfACampusCountsWhatSQLCounts(t *testing.T) {
	t.Parallel()
	onCampuses(t, func(t *testing.T, r *campusRun) {
		c, err := r.projection.Census(t.Context())
		require.NoError(t, err)
		require.Equal(t, r.numbers(t, `(SELECT count(*) FROM courses), (SELECT count(*) FROM courses WHERE state <> 'available'),
			(SELECT count(*) FROM people WHERE NOT active)`), []int{c.Courses, c.Quiet, c.Inactive})
		require.Equal(t, r.numbers(t, `(SELECT count(*) FROM oracle.people WHERE active AND role = 'none'), (SELECT count(*) FROM oracle.people WHERE active AND role = 'student'),
			(SELECT count(*) FROM oracle.people WHERE active AND role = 'tutor'), (SELECT count(*) FROM oracle.people WHERE active AND role = 'teacher'),
			(SELECT count(*) FROM oracle.people WHERE active AND role = 'admin')`),
			[]int{c.People[cdc.NoRole], c.People[cdc.Student], c.People[cdc.Tutor], c.People[cdc.Teacher], c.People[cdc.Admin]})
		require.Equal(t, r.numbers(t, `(SELECT count(*) FROM assignments), (SELECT count(*) FROM assignments WHERE state <> 'draft'),
			(SELECT count(*) FROM assignments WHERE oracle.is_open(state, closes_at)), (SELECT count(*) FROM assignments WHERE state <> 'draft' AND NOT oracle.is_open(state, closes_at))`),
			[]int{c.Assignments, c.Published, c.Open, c.Closed})
		require.Equal(t, r.numbers(t, `(SELECT count(*) FROM submissions), (SELECT count(*) FROM submissions WHERE handed_in_at IS NULL), (SELECT count(handed_in_at) FROM submissions),
			(SELECT count(score) FROM submissions), (SELECT count(handed_in_at) FROM submissions WHERE score IS NULL)`),
			[]int{c.Submissions, c.Pending, c.Submitted, c.Graded, c.Ungraded})

		rows, err := r.conn.Query(t.Context(), `SELECT * FROM oracle.counts`)
		require.NoError(t, err)
		seen := 0
		var id int64
		var want cdc.Counts
		_, err = pgx.ForEachRow(rows, []any{&id, &want.PendingSubmissions, &want.UngradedSubmissions, &want.ActiveStudents, &want.TotalAssignments}, func() error {
			person, ok := r.projection.Person(cdc.IntID(id))
			require.True(t, ok)
			require.Equal(t, want, r.projection.Counts(person), "counts of person %d", id)
			seen++
			return nil
		})
		require.NoError(t, err)
		require.Greater(t, seen, 50)
	})
}

// The oracle is the same that says in the leak test who really receives what.
func TestAnExplanationNamesWhoReceivesTheEventAccordingToSQL(t *testing.T) {
	t.Parallel()
	onCampuses(t, func(t *testing.T, r *campusRun) {
		r.compare(t, `SELECT s.id, 'submission', oracle.muted(a.course_id), oracle.work(a.course_id, a.author_id, s.person_id)
			FROM submissions s JOIN assignments a ON a.id = s.assignment_id WHERE s.id % 5 = 0`, "submissions", cdc.Submission)
		r.compare(t, `SELECT s.id, 'grade', oracle.muted(a.course_id), oracle.work(a.course_id, a.author_id, s.person_id)
				|| CASE WHEN s.posted_at IS NOT NULL AND oracle.may(s.person_id, 'student') THEN array[s.person_id] END
			FROM submissions s JOIN assignments a ON a.id = s.assignment_id WHERE s.id % 5 = 1`, "submissions", cdc.Grade)
		r.compare(t, `SELECT id, 'assignment', oracle.muted(course_id) OR state = 'draft', oracle.assignment(course_id, author_id, oracle.given(id, true))
			FROM assignments`, "assignments", cdc.Assignment)
	})
}

// compare holds explanations against the rows of a query: id, what, whether nothing is
// told, whom it would be told to.
func (r *campusRun) compare(t *testing.T, sql, table string, kind cdc.Kind) {
	t.Helper()
	rows, err := r.conn.Query(t.Context(), sql)
	require.NoError(t, err)
	n, silent := 0, false
	var id int64
	var what string
	var want []int64
	_, err = pgx.ForEachRow(rows, []any{&id, &what, &silent, &want}, func() error {
		told := r.explained(t.Context(), t, table, id, kind)
		require.Equal(t, silent, told.Silent != "", "%s %d: %s", what, id, told.Silent)
		var got []int64
		for _, c := range told.See {
			number, err := strconv.ParseInt(c.Person.ID.String(), 10, 64)
			require.NoError(t, err)
			require.NotEmpty(t, c.Why)
			got = append(got, number)
		}
		slices.Sort(got)
		slices.Sort(want)
		require.Equal(t, slices.Compact(want), got, "%s %d: %v", what, id, told.See)
		n++
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, n, 40)
}

// explained is what is told of a row.
func (r *campusRun) explained(ctx context.Context, t *testing.T, table string, id int64, kind cdc.Kind) projection.Telling {
	t.Helper()
	row := r.read[fmt.Sprintf("%s:%d", table, id)]
	e, err := r.projection.Explain(ctx, row.Table, row.Values)
	require.NoError(t, err)
	i := slices.IndexFunc(e.Tellings, func(t projection.Telling) bool { return slices.Contains(t.Kinds, kind) })
	require.GreaterOrEqual(t, i, 0, fmt.Sprint(e))
	return e.Tellings[i]
}
