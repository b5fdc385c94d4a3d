package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// dry is the part of check's output that the dry run wrote.
func dry(output string) string {
	_, after, _ := strings.Cut(output, "dry run: ")
	return after
}

func TestADryRunSaysWhatSQLSays(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.exec(`UPDATE assignments_assignment SET status = CASE WHEN id % 2 = 0 THEN 'published' ELSE 'closed' END`)
	s.exec(`UPDATE accounts_user SET is_active = false WHERE id IN (SELECT id FROM accounts_user WHERE role = 'student' ORDER BY id LIMIT 3)`)
	code, out := s.check("--dry-run")
	require.Zero(t, code, out)
	require.Contains(t, out, "all is well")
	require.Equal(t, s.ask(`SELECT (SELECT count(*) FROM accounts_user) + (SELECT count(*) FROM accounts_studentprofile) + (SELECT count(*) FROM assignments_assignment)
		+ (SELECT count(*) FROM assignments_assignment_assigned_to) + (SELECT count(*) FROM assignments_assignmentsubmission) || ' rows of 5 tables read in'`),
		strings.Join(strings.Fields(dry(out))[:7], " "))
	for _, sql := range []string{
		`SELECT format('  people       %s active: 1 admin, 2 teachers, 1 tutor, %s students; 3 not active', count(*), count(*) FILTER (WHERE role = 'student'))
			FROM accounts_user WHERE is_active`,
		`SELECT format('  assignments  %s: %1$s published (%s open, %s closed)', count(*), count(*) FILTER (WHERE status <> 'closed'), count(*) FILTER (WHERE status = 'closed'))
			FROM assignments_assignment`,
		`SELECT format('  submissions  %s: %s pending, %s submitted (%s ungraded); %s graded', count(*), count(*) FILTER (WHERE submitted_at IS NULL), count(submitted_at),
			count(submitted_at) FILTER (WHERE grade IS NULL), count(grade)) FROM assignments_assignmentsubmission`,
	} {
		require.Contains(t, out, s.ask(sql)+"\n")
	}
	// Teachers by what waits for them, then the tutor, then the admin.
	require.Equal(t, s.ask(`WITH work AS (
			SELECT a.author_id, p.tutor_id, s.* FROM assignments_assignmentsubmission s
			JOIN assignments_assignment a ON a.id = s.assignment_id LEFT JOIN accounts_studentprofile p ON p.user_id = s.student_id
		), counted AS (
			SELECT u.id, u.role, u.first_name, u.last_name, u.email, count(w.id) FILTER (WHERE submitted_at IS NULL) AS pending,
				count(submitted_at) FILTER (WHERE grade IS NULL) AS ungraded, count(DISTINCT student_id) AS students,
				(SELECT count(*) FROM assignments_assignment a WHERE u.role = 'admin' OR a.author_id = u.id OR EXISTS (SELECT FROM assignments_assignment_assigned_to g
					JOIN accounts_studentprofile p USING (user_id) WHERE g.assignment_id = a.id AND p.tutor_id = u.id)) AS assignments
			FROM accounts_user u LEFT JOIN work w ON u.role = 'admin' OR w.author_id = u.id OR w.tutor_id = u.id
			WHERE u.role <> 'student' GROUP BY u.id
		)
		SELECT string_agg(format('%s %s %s %s <%s>: %s pending, %s ungraded, %s active student%s, %s assignment%s', role, id, first_name, last_name, email, pending, ungraded,
			students, CASE WHEN students <> 1 THEN 's' END, assignments, CASE WHEN assignments <> 1 THEN 's' END), E'\n'
			ORDER BY array_position(ARRAY['teacher', 'tutor', 'admin'], role::text), pending + ungraded + assignments DESC, id) FROM counted`),
		strings.Join(samples(out), "\n"))
	require.Contains(t, out, fmt.Sprintf("like %q", s.ask(`SELECT title FROM assignments_assignment WHERE author_id = $1 ORDER BY id DESC LIMIT 1`, s.school.Teachers[0].ID)))
}

// samples are the lines about people, without what they see.
func samples(output string) []string {
	var all []string
	for line := range strings.Lines(dry(output)) {
		if fields := strings.Fields(line); len(fields) > 2 && strings.Contains(line, " ungraded, ") && strings.Contains(line, "active student") {
			text, _, _ := strings.Cut(strings.Join(fields, " "), ", like ")
			all = append(all, text)
		}
	}
	return all
}

// A sysadmin wants to know before a DBA is asked for anything.
func TestADryRunNeedsNothingButSELECTAndLeavesNothing(t *testing.T) {
	t.Parallel()
	s := bareSite(t, pgtest.Database(t))
	role := s.ask(`SELECT 'reader_of_' || current_database()`)
	s.exec(fmt.Sprintf(`CREATE ROLE %[1]q LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO %[1]q`, role))
	s.forget(role)
	code, out := s.check("--dry-run", "--database", s.as(role))
	require.Equal(t, 1, code, "%s", out)
	require.NotEmpty(t, wrong(out))
	require.Contains(t, out, "publication \"schoolbell\" is missing")
	require.Contains(t, dry(out), "  people       34 active")
	require.Equal(t, "0 0", s.ask(`SELECT (SELECT count(*) FROM pg_publication) || ' ' || (SELECT count(*) FROM pg_replication_slots WHERE database = current_database())`))

	s.exec(fmt.Sprintf(`REVOKE SELECT ON assignments_assignmentsubmission FROM %q`, role))
	code, out = s.check("--dry-run", "--database", s.as(role))
	require.Equal(t, 1, code, "%s", out)
	require.Contains(t, out, "dry run: not possible yet: SELECT right of role")
	require.Equal(t, 1, strings.Count(out, "GRANT SELECT (\"id\", \"assignment_id\""), "it is said once")
}

// The tables are locked, so that the reading stands still in the middle; then somebody
// presses Ctrl-C, or the machine shuts down.
func TestAnInterruptedDryRunLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.exec(`VACUUM ANALYZE`) // so that nothing needs to be counted first
	for _, args := range [][]string{
		{"check", "--dry-run"}, {"profile", "explain", "django", "--row", "accounts_user:1"},
	} {
		for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			lock, err := s.conn.Begin(t.Context())
			require.NoError(t, err)
			_, err = lock.Exec(t.Context(), `LOCK TABLE assignments_assignmentsubmission`)
			require.NoError(t, err)
			folder := t.TempDir()
			p := &process{t: t, program: os.Args[0], args: append(args, "--database", s.url), env: []string{"TMPDIR=" + folder}}
			p.restart()
			t.Cleanup(p.kill)
			other := connectTo(t, s.url)
			require.Eventually(t, func() bool {
				var waits bool
				err := other.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waits)
				return err == nil && waits
			}, 20*time.Second, 10*time.Millisecond, "it never came to the table: %s", p.text())
			kept, err := filepath.Glob(filepath.Join(folder, "schoolbell-dry-run-*", "*"))
			require.NoError(t, err)
			require.NotEmpty(t, kept, "what it has read so far")

			require.NoError(t, p.cmd.Process.Signal(signal))
			require.Equal(t, 1, p.wait(10*time.Second), p.text())
			require.Equal(t, []string{errStopped.Error()}, said(p.text()))
			left, err := os.ReadDir(folder)
			require.NoError(t, err)
			require.Empty(t, left)
			require.NoError(t, lock.Rollback(t.Context()))
		}
	}
}

// Nothing of it fails: a profile that is wrong makes a school of which half is missing.
func TestADryRunSaysWhatIsOddAndWhyThatProbablyIs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.exec(`UPDATE assignments_assignmentsubmission SET submitted_at = now(), grade = 1 WHERE id = 1`)
	for profile, want := range map[string]string{
		"user: {roles: {TEACHER: teacher}}":                 "advice: nobody has a role, so that nobody may connect; likely user.role or user.roles names other values than the column has",
		"user: {roles: {student: student}}":                 "advice: nobody is a teacher; likely user.role or user.roles names other values than the column has",
		"user: {roles: {student: admin}}":                   "advice: 4 of 4 assignments belong to somebody who is neither a teacher nor an admin, and hears nothing, like assignment ",
		"user: {roles: {teacher: teacher}}":                 "advice: nobody is an admin; likely user.roles names another value than the column has for them",
		"user: {active: {role: nothing}}":                   "advice: nobody is active, so that nobody may connect; likely user.active tests",
		"user: {where: {role: nothing}}":                    "advice: there is nobody; likely user.from or user.where is not what holds the people",
		"user: {where: {role: [admin, student]}}":           "advice: 4 of 4 assignments have a teacher who is nobody, like assignment ",
		"user: {where: {role: teacher}}":                    " submissions are of a student who is nobody, like submission ",
		"assignment: {where: {status: nothing}}":            "advice: there are no assignments; likely assignment.from or assignment.where",
		"assignment: {published: {status: nothing}}":        "advice: no assignment is published, so that nothing of them is told; likely assignment.published",
		"assignment: {where: {id: 1}}":                      " submissions are of an assignment that is not there, like submission ",
		"submission: {where: {status: nothing}}":            "advice: there are no submissions; likely submission.from or submission.where",
		"submission: {submitted: {status: nothing}}":        "advice: no submission is submitted; likely submission.submitted tests",
		"grade: {graded: {status: nothing}}":                "advice: no submission is graded; likely grade.graded tests",
		"submission: {submitted: {status: submitted}}":      " graded submissions were not handed in, and count as pending, like submission ",
		"submission: {tutor: student_id}":                   " submissions have a tutor who is neither a tutor nor an admin by their role, and hears nothing, like submission ",
		"submission: {tutor: id}":                           " submissions have a tutor who is nobody, like submission ",
		"assigned: {student: id}":                           " rows that give an assignment to a student name nobody, like row ",
		"assigned: {assignment: user_id, student: user_id}": " rows that give an assignment to a student name no assignment that is there, like row ",
	} {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "school.yaml")
			require.NoError(t, os.WriteFile(file, []byte("extends: django\nprofile: school\n"+profile+"\n"), 0o600))
			_, out := s.check("--dry-run", "--profile", file)
			require.Contains(t, dry(out), want, "%s", out)
		})
	}
	_, out := s.check("--dry-run")
	for line := range strings.Lines(dry(out)) {
		if strings.HasPrefix(line, "advice: ") {
			require.Contains(t, line, "no assignment is open", "the fixture's own profile is right")
		}
	}
}
