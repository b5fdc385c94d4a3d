//go:build linux

package main

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/school"
	"github.com/schoolbell/schoolbell/deploy/school/canvas"
)

// leakCanvas is Canvas: what people are follows from their enrolments, and from the accounts
// above their courses; rows are deleted softly; grades are hidden until they are posted.
func leakCanvas(random *rand.Rand) leakSchool {
	c := canvasActs{acts{rand: random}}
	return leakSchool{
		name: "canvas", profile: filepath.Join("testdata", "leak", "canvas.yaml"),
		watched: map[string]string{
			"accounts": "id", "account_users": "id", "users": "id", "communication_channels": "id", "courses": "id",
			"course_account_associations": "id", "enrollments": "id", "assignments": "id", "submissions": "id",
		},
		flags: []string{"--roles", "teacher,tutor,admin,student"},
		fill:  c.fill, draw: c.draw, restore: c.restore, touch: c.touch,
		views: `CREATE VIEW now.standing AS ` + in("now", canvasStanding) + `;
			CREATE VIEW was.standing AS ` + in("was", canvasStanding) + `;` + leakFile("canvas_oracle.sql"),
		events: `SELECT stage, fields, people FROM oracle.events`,
		rights: `SELECT person, CASE WHEN NOT active THEN 'account_inactive' WHEN role = 'none' THEN 'role_not_allowed' ELSE '' END AS code FROM @.standing`,
		before: `SELECT oracle.refresh()`, after: `SELECT oracle.remember()`,
		counts: `SELECT * FROM oracle.counts`,
	}
}

func leakFile(name string) string {
	text, err := os.ReadFile(filepath.Join("testdata", "leak", name))
	if err != nil {
		panic(err) // the test's own file
	}
	return string(text)
}

// canvasStanding is who everybody is.
const canvasStanding = `SELECT u.id AS person, u.workflow_state NOT IN ('deleted', 'creation_pending') AS active, CASE
	WHEN EXISTS (SELECT FROM @.account_users a JOIN @.accounts r ON r.id = a.account_id WHERE a.user_id = u.id AND a.workflow_state = 'active'
		AND r.parent_account_id IS NULL AND r.workflow_state = 'active') THEN 'admin'
	WHEN EXISTS (SELECT FROM @.enrollments e WHERE e.user_id = u.id AND e.workflow_state IN ('active', 'completed') AND e.type = 'TeacherEnrollment')
		OR EXISTS (SELECT FROM @.account_users a JOIN @.course_account_associations c USING (account_id) JOIN @.accounts b ON b.id = a.account_id
			WHERE a.user_id = u.id AND a.workflow_state = 'active' AND c.course_section_id IS NULL AND b.parent_account_id IS NOT NULL) THEN 'teacher'
	WHEN EXISTS (SELECT FROM @.enrollments e WHERE e.user_id = u.id AND e.workflow_state IN ('active', 'completed') AND e.type = 'TaEnrollment') THEN 'tutor'
	WHEN EXISTS (SELECT FROM @.enrollments e WHERE e.user_id = u.id AND e.workflow_state IN ('active', 'completed') AND e.type = 'StudentEnrollment') THEN 'student'
	ELSE 'none' END AS role FROM @.users u`

type canvasActs struct{ acts }

func (c canvasActs) fill(ctx context.Context, conn *pgx.Conn) ([]leakPerson, error) {
	if err := canvas.Create(ctx, conn); err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, leakFile("canvas.sql")+`;
		CREATE TABLE hired AS SELECT * FROM account_users;
		CREATE TABLE enrolled AS SELECT * FROM enrollments;
		SELECT setval(pg_get_serial_sequence('account_users', 'id'), 1000), setval(pg_get_serial_sequence('enrollments', 'id'), 10000)`); err != nil {
		return nil, err
	}
	return canvasTokens(ctx, conn)
}

// restore makes everybody again what they were in the beginning, besides what they became.
func (c canvasActs) restore(ctx context.Context, tx pgx.Tx) error {
	for _, sql := range []string{
		`UPDATE users SET workflow_state = 'registered'`,
		`UPDATE accounts SET workflow_state = 'active'`,
		`INSERT INTO account_users SELECT * FROM hired ON CONFLICT (id) DO UPDATE SET account_id = excluded.account_id, user_id = excluded.user_id, workflow_state = excluded.workflow_state`,
		`INSERT INTO enrollments SELECT * FROM enrolled ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, type = excluded.type, workflow_state = excluded.workflow_state`,
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

func (c canvasActs) touch(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `UPDATE submissions SET turnitin_data = 'again' WHERE id = (SELECT min(id) FROM submissions)`)
	return err
}

// As Canvas itself is used: rows for every student in one statement, sweeps over all of them,
// courses that are copied. When it has been for a while, everybody is and counts what SQL says.
func TestLeakACanvasThatIsUsedIsFollowed(t *testing.T) {
	t.Parallel()
	var used *canvas.School
	s := newLeakSuite(t, func(random *rand.Rand) leakSchool {
		lms := leakCanvas(random)
		lms.fill = func(ctx context.Context, conn *pgx.Conn) (people []leakPerson, err error) {
			if err = canvas.Create(ctx, conn); err != nil {
				return nil, err
			}
			if used, err = canvas.Populate(ctx, conn, canvasSize(), 1); err != nil {
				return nil, err
			}
			if _, err = conn.Exec(ctx, `CREATE TABLE tokens AS SELECT 'token-of-' || id AS key, id AS person_id FROM users; ALTER TABLE tokens ADD PRIMARY KEY (key)`); err != nil {
				return nil, err
			}
			return canvasTokens(ctx, conn)
		}
		return lms
	})
	s.begin(t)
	for range s.n {
		_, err := used.Step(t.Context(), s.conn)
		require.NoError(t, err)
	}
	s.oracle.commit(t, s.conn, s.lms.touch)
	s.checkpoint(t)
}

func canvasSize() school.Size {
	return school.Size{Teachers: 8, Tutors: 6, Admins: 2, Students: 90, Assignments: 60}
}

// canvasTokens are all who can connect.
func canvasTokens(ctx context.Context, conn *pgx.Conn) ([]leakPerson, error) {
	rows, err := conn.Query(ctx, `SELECT person_id, key FROM tokens ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p leakPerson, err error) { return p, row.Scan(&p.id, &p.token) })
}

const (
	canvasUser       = `SELECT id FROM users`
	canvasEnrolment  = `SELECT id FROM enrollments`
	canvasStaff      = `SELECT id FROM enrollments WHERE type IN ('TeacherEnrollment', 'TaEnrollment')`
	canvasCourse     = `SELECT id FROM courses`
	canvasAssignment = `SELECT id FROM assignments`
	canvasSubmission = `SELECT id FROM submissions WHERE workflow_state <> 'deleted'`
	canvasSeat       = `SELECT e.id FROM enrollments e JOIN submissions s USING (user_id, course_id) WHERE s.id = $1 AND e.type = 'StudentEnrollment'`
	canvasStaffSeats = `SELECT e.id FROM enrollments e JOIN submissions s USING (course_id) WHERE s.id = $1 AND e.type IN ('TeacherEnrollment', 'TaEnrollment')`
	canvasNow        = `timezone('utc', clock_timestamp())`
	canvasAsBefore   = `CASE WHEN score IS NOT NULL OR excused THEN 'graded' WHEN submitted_at IS NOT NULL THEN 'submitted' ELSE 'unsubmitted' END`

	// Of a submission, and a number.
	canvasHandIn  = `UPDATE submissions SET submission_type = 'online_upload', submitted_at = ` + canvasNow + `, attempt = coalesce(attempt, 0) + 1, workflow_state = 'submitted', grade_matches_current_submission = score IS NULL WHERE id = $1`
	canvasGrade   = `UPDATE submissions SET score = $2::int % 21 / 2.0, grade = ($2::int % 21 / 2.0)::text, graded_at = ` + canvasNow + `, grader_id = 13 + $2::int % 20, workflow_state = 'graded', excused = false, grade_matches_current_submission = true WHERE id = $1`
	canvasUngrade = `UPDATE submissions SET score = NULL, grade = NULL, graded_at = ` + canvasNow + `, workflow_state = 'graded' WHERE id = $1 AND excused IS NOT TRUE`
	canvasExcuse  = `UPDATE submissions SET excused = true, score = NULL, grade = NULL, graded_at = ` + canvasNow + `, workflow_state = 'graded' WHERE id = $1`
	canvasPardon  = `UPDATE submissions SET excused = false, workflow_state = CASE WHEN submitted_at IS NULL THEN 'unsubmitted' ELSE 'submitted' END WHERE id = $1 AND excused`
	canvasQuiz    = `UPDATE submissions SET submission_type = 'online_quiz', submitted_at = ` + canvasNow + `, attempt = coalesce(attempt, 0) + 1, score = $2::int % 9, grade = ($2::int % 9)::text, graded_at = ` + canvasNow + `, grader_id = CASE WHEN $2::int % 2 = 0 THEN -assignment_id END, excused = NULL, grade_matches_current_submission = true, workflow_state = CASE $2::int % 3 WHEN 0 THEN 'pending_review' ELSE 'graded' END WHERE id = $1`
	canvasPost    = `UPDATE submissions SET posted_at = CASE WHEN posted_at IS NULL THEN ` + canvasNow + ` END WHERE id = $1`
	canvasSave    = `UPDATE submissions SET cached_due_date = ` + canvasNow + `, updated_at = ` + canvasNow + ` WHERE id = $1`
	canvasMove    = `UPDATE enrollments SET course_section_id = 10 * course_id + $2::int % 3 WHERE id IN (` + canvasSeat + `)`
	canvasShift   = `UPDATE enrollments SET course_section_id = 10 * course_id + $2::int % 3, limit_privileges_to_course_section = true WHERE id IN (` + canvasStaffSeats + `) AND id % 5 = $2::int % 5`
	canvasLimit   = `UPDATE enrollments SET limit_privileges_to_course_section = NOT limit_privileges_to_course_section WHERE id IN (` + canvasStaffSeats + `) AND id % 5 = $2::int % 5`
	canvasLeave   = `UPDATE enrollments SET workflow_state = CASE workflow_state WHEN 'active' THEN 'inactive' ELSE 'active' END WHERE id IN (` + canvasStaffSeats + `) AND id % 5 = $2::int % 5`
	canvasDrop    = `UPDATE enrollments SET workflow_state = CASE workflow_state WHEN 'active' THEN 'deleted' ELSE 'active' END WHERE id IN (` + canvasSeat + `)`
	canvasMail    = `UPDATE communication_channels SET position = $2::int % 3 + id % 2, workflow_state = CASE WHEN $2::int % 3 = 0 THEN 'retired' ELSE 'active' END WHERE user_id = (SELECT user_id FROM submissions WHERE id = $1)`
	canvasDeans   = `UPDATE account_users SET workflow_state = CASE workflow_state WHEN 'active' THEN 'deleted' ELSE 'active' END WHERE id % 3 = $2::int % 3 AND account_id IN (SELECT account_id FROM course_account_associations JOIN submissions s USING (course_id) WHERE s.id = $1) AND account_id > 1`

	// Of an assignment, and a number.
	canvasState   = `UPDATE assignments SET workflow_state = CASE $2::int % 5 WHEN 0 THEN 'unpublished' WHEN 1 THEN 'deleted' ELSE 'published' END WHERE id = $1`
	canvasLock    = `UPDATE assignments SET lock_at = ` + canvasNow + ` + (CASE $2::int % 3 WHEN 0 THEN -1 WHEN 1 THEN 1 END) * interval '1 day' WHERE id = $1`
	canvasSweep   = `UPDATE assignments SET due_at = due_at + interval '1 day' WHERE id = $1;UPDATE submissions SET cached_due_date = ` + canvasNow + ` WHERE assignment_id = $1`
	canvasDelete  = `UPDATE assignments SET workflow_state = 'deleted' WHERE id = $1;UPDATE submissions SET workflow_state = 'deleted' WHERE assignment_id = $1`
	canvasRestore = `UPDATE assignments SET workflow_state = CASE WHEN $2::int % 2 = 0 THEN 'published' ELSE 'unpublished' END WHERE id = $1 AND workflow_state = 'deleted';UPDATE submissions SET workflow_state = ` + canvasAsBefore + ` WHERE assignment_id = $1 AND workflow_state = 'deleted'`
	canvasEnd     = `UPDATE courses SET workflow_state = CASE $2::int % 5 WHEN 0 THEN 'completed' WHEN 1 THEN 'claimed' WHEN 2 THEN 'deleted' ELSE 'available' END WHERE id = (SELECT context_id FROM assignments WHERE id = $1)`
	canvasWithIt  = `UPDATE enrollments SET workflow_state = CASE workflow_state WHEN 'active' THEN 'inactive' ELSE 'active' END WHERE course_id = (SELECT context_id FROM assignments WHERE id = $1) AND id % 4 = $2::int % 4`
	canvasPostAll = `UPDATE submissions SET posted_at = ` + canvasNow + ` WHERE assignment_id = $1 AND posted_at IS NULL AND workflow_state <> 'deleted'`
	canvasMarkAll = `UPDATE submissions SET score = $2::int, grade = $2::int::text, graded_at = ` + canvasNow + `, grader_id = 13, workflow_state = 'graded', excused = false, grade_matches_current_submission = true WHERE assignment_id = $1 AND workflow_state = 'submitted' AND user_id % 3 = $2::int % 3`
	canvasRows    = `INSERT INTO submissions (assignment_id, user_id, course_id, root_account_id, workflow_state, created_at, updated_at)
		SELECT DISTINCT ON (e.user_id) a.id, e.user_id, a.context_id, 1, 'unsubmitted', ` + canvasNow + `, ` + canvasNow + ` FROM assignments a JOIN enrollments e ON e.course_id = a.context_id
		WHERE a.id = $1 AND e.type = 'StudentEnrollment' AND e.workflow_state = 'active' AND e.user_id % 3 = $2::int % 3 ON CONFLICT DO NOTHING`
)

// draw is a right given or taken as often as anything else, and often together with work
// that it is a right to.
func (c canvasActs) draw() operation {
	n := c.rand.IntN(60)
	one := func(query, statement string) func() operation {
		return func() operation { return c.on(query, statement, n) }
	}
	together := func(query string, statements ...string) func() operation {
		return func() operation {
			c.rand.Shuffle(len(statements), func(i, j int) { statements[i], statements[j] = statements[j], statements[i] })
			return c.on(query, strings.Join(statements, ";"), n)
		}
	}
	choices := []func() operation{
		// Work.
		one(canvasSubmission, canvasHandIn), one(canvasSubmission, canvasHandIn), one(canvasSubmission, canvasGrade), one(canvasSubmission, canvasGrade),
		one(canvasSubmission, canvasUngrade), one(canvasSubmission, canvasExcuse), one(canvasSubmission, canvasPardon), one(canvasSubmission, canvasQuiz),
		one(canvasSubmission, canvasPost), together(canvasSubmission, canvasGrade, canvasPost), one(canvasSubmission, canvasSave),
		one(canvasSubmission, `UPDATE submissions SET workflow_state = 'deleted' WHERE id = $1`),
		one(`SELECT id FROM submissions WHERE workflow_state = 'deleted'`, `UPDATE submissions SET workflow_state = `+canvasAsBefore+` WHERE id = $1`),
		one(canvasAssignment, canvasMarkAll), one(canvasAssignment, canvasPostAll), one(canvasAssignment, canvasRows), one(canvasAssignment, canvasSweep),
		one(canvasCourse, `INSERT INTO assignments (title, description, due_at, workflow_state, context_id, context_type, created_at, updated_at, root_account_id)
			SELECT 'New "work" of ' || $1::bigint::text, repeat('Ж', 250), '2027-02-01', CASE WHEN $2::int % 4 = 0 THEN 'unpublished' ELSE 'published' END, $1::bigint, 'Course', `+canvasNow+`, `+canvasNow+`, 1`),
		one(canvasAssignment, canvasState), one(canvasAssignment, canvasLock), one(canvasAssignment, `UPDATE assignments SET title = title || '!' WHERE id = $1`),
		one(canvasAssignment, canvasDelete), one(canvasAssignment, canvasRestore), one(canvasAssignment, canvasRestore),
		// Rights.
		one(canvasUser, `UPDATE users SET workflow_state = CASE workflow_state WHEN 'registered' THEN 'deleted' ELSE 'registered' END WHERE id = $1`),
		one(canvasUser, `UPDATE users SET root_account_ids = root_account_ids || $2::int::bigint, name = 'Person ' || id || '.' || $2::int::text WHERE id = $1`),
		one(canvasUser, `INSERT INTO account_users (account_id, user_id, created_at, updated_at, role_id, root_account_id) SELECT 1 + $2::int % 5, $1, `+canvasNow+`, `+canvasNow+`, 6, 1 WHERE $2::int % 3 = 0`),
		one(canvasUser, `INSERT INTO communication_channels (path, position, user_id, workflow_state, created_at, updated_at) SELECT 'new' || $2::int::text || '@canvas.example', CASE WHEN $2::int % 4 > 0 THEN $2::int % 4 END, $1, 'active', `+canvasNow+`, `+canvasNow+` ON CONFLICT DO NOTHING`),
		one(`SELECT id FROM communication_channels`, `DELETE FROM communication_channels WHERE id = $1 AND $2::int % 4 = 0`),
		one(`SELECT id FROM account_users`, `UPDATE account_users SET workflow_state = CASE workflow_state WHEN 'active' THEN 'deleted' ELSE 'active' END WHERE id = $1`),
		one(`SELECT id FROM account_users`, `UPDATE account_users SET account_id = 1 + $2::int % 5 WHERE id = $1`),
		one(`SELECT id FROM accounts`, `UPDATE accounts SET workflow_state = CASE WHEN workflow_state = 'active' AND $2::int % 5 = 0 THEN 'deleted' ELSE 'active' END WHERE id = $1`),
		one(`SELECT id FROM course_account_associations`, `UPDATE course_account_associations SET account_id = 1 + $2::int % 5 WHERE id = $1 AND NOT EXISTS (SELECT FROM course_account_associations o WHERE o.course_id = course_account_associations.course_id AND o.account_id = 1 + $2::int % 5)`),
		one(`SELECT id FROM course_account_associations`, `DELETE FROM course_account_associations WHERE id = $1 AND $2::int % 4 = 0`),
		one(canvasUser, `INSERT INTO enrollments (user_id, course_id, course_section_id, type, role_id, workflow_state, limit_privileges_to_course_section, created_at, updated_at, root_account_id)
			SELECT $1, 1 + $2::int % 10, 10 * (1 + $2::int % 10) + $2::int % 3, (array['StudentEnrollment', 'StudentEnrollment', 'TaEnrollment', 'TaEnrollment', 'TeacherEnrollment', 'ObserverEnrollment'])[1 + $2::int / 10], 1, 'active', $2::int % 4 > 0, `+canvasNow+`, `+canvasNow+`, 1`),
		one(canvasEnrolment, `DELETE FROM enrollments WHERE id = $1`),
		one(canvasEnrolment, `UPDATE enrollments SET workflow_state = (array['active', 'completed', 'inactive', 'invited', 'deleted'])[1 + $2::int % 5] WHERE id = $1`),
		one(canvasEnrolment, `UPDATE enrollments SET type = (array['StudentEnrollment', 'TaEnrollment', 'TeacherEnrollment', 'DesignerEnrollment'])[1 + $2::int % 4] WHERE id = $1`),
		one(canvasEnrolment, `UPDATE enrollments SET course_section_id = 10 * course_id + $2::int % 3 WHERE id = $1`),
		one(canvasStaff, `UPDATE enrollments SET limit_privileges_to_course_section = NOT limit_privileges_to_course_section WHERE id = $1`),
		one(canvasStaff, `UPDATE enrollments SET user_id = 1 + $2::int * 3 WHERE id = $1`), // accounts are merged
		one(canvasCourse, `UPDATE courses SET workflow_state = CASE $2::int % 6 WHEN 0 THEN 'completed' WHEN 1 THEN 'claimed' ELSE 'available' END WHERE id = $1`),
		// Everybody back at once, as a new term does.
		one(canvasCourse, `UPDATE users SET workflow_state = CASE WHEN id % 40 = $2::int % 40 THEN 'deleted' ELSE 'registered' END WHERE $1::bigint > 0`),
		one(canvasCourse, `INSERT INTO enrollments SELECT * FROM enrolled WHERE course_id = $1 AND $2::int % 2 = 0 ON CONFLICT (id) DO UPDATE SET workflow_state = excluded.workflow_state, type = excluded.type`),
		// Both.
		together(canvasSubmission, canvasMove, canvasGrade), together(canvasSubmission, canvasShift, canvasGrade, canvasHandIn),
		together(canvasSubmission, canvasLimit, canvasHandIn), together(canvasSubmission, canvasLeave, canvasGrade), together(canvasSubmission, canvasMail, canvasHandIn),
		together(canvasSubmission, canvasDrop, canvasGrade, canvasPost), together(canvasSubmission, canvasDeans, canvasQuiz),
		together(canvasAssignment, canvasEnd, canvasLock), together(canvasAssignment, canvasEnd, canvasState), together(canvasAssignment, canvasWithIt, canvasState),
		together(canvasAssignment, canvasWithIt, canvasMarkAll), together(canvasAssignment, canvasEnd, canvasMarkAll), together(canvasAssignment, canvasWithIt, canvasEnd, canvasPostAll),
	}
	return choices[c.rand.IntN(len(choices))]()
}
