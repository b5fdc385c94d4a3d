package canvas

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// copies is how many assignments a copy of a course has.
const copies = 120

// on runs statements in one transaction, of which $1 is one of the ids of a query and $2
// the time.
func (s *School) on(ctx context.Context, conn *pgx.Conn, kind, query string, statements ...string) (school.Operation, error) {
	op := school.Operation{Kind: kind, User: s.anybody()}
	id, err := s.pick(ctx, conn, query)
	if err != nil || id == 0 {
		return op, err
	}
	op.Rows, err = exec(ctx, conn, statements, id, now())
	return op, err
}

// copyCourse makes a course out of another, which nobody sees until it is offered: its
// assignments are published from the first moment. There is one such course at a time.
func (s *School) copyCourse(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	return s.on(ctx, conn, CopyCourse, `SELECT id FROM courses c WHERE workflow_state = 'available' AND NOT EXISTS (SELECT FROM courses WHERE workflow_state = 'created')`,
		`INSERT INTO courses (name, account_id, workflow_state, created_at, updated_at, course_code, root_account_id, enrollment_term_id)
			SELECT name || ' (copy)', account_id, 'created', $2::timestamp, $2, course_code, root_account_id, enrollment_term_id FROM courses WHERE id = $1`,
		`INSERT INTO course_sections (course_id, root_account_id, name, default_section, created_at, updated_at)
			SELECT currval('courses_id_seq'), root_account_id, 'Section 1', true, $2::timestamp, $2 FROM courses WHERE id = $1`,
		`INSERT INTO course_account_associations (course_id, account_id, depth, created_at, updated_at, course_section_id, root_account_id)
			SELECT currval('courses_id_seq'), account_id, depth, $2::timestamp, $2, CASE WHEN n = 1 THEN currval('course_sections_id_seq') END, root_account_id
			FROM course_account_associations, generate_series(0, 1) n WHERE course_id = $1 AND course_section_id IS NULL`,
		`INSERT INTO enrollments (user_id, course_id, type, workflow_state, created_at, updated_at, course_section_id, root_account_id, role_id)
			SELECT DISTINCT ON (user_id) user_id, currval('courses_id_seq'), type, 'active', $2::timestamp, $2, currval('course_sections_id_seq'), root_account_id, role_id
			FROM enrollments WHERE course_id = $1 AND type = 'TeacherEnrollment'`,
		`INSERT INTO assignments (title, description, due_at, points_possible, grading_type, submission_types, workflow_state, context_id, context_type, created_at, updated_at, root_account_id, copied, migration_id)
			SELECT 'Copy ' || n, 'Copied.', $2::timestamp + interval '30 days', 100, 'points', 'online_upload', 'published', currval('courses_id_seq'), 'Course', $2, $2, root_account_id, true, md5(n::text)
			FROM courses, generate_series(1, `+strconv.Itoa(copies)+`) n WHERE id = $1`)
}

// offer makes a copy available, for students of the school, and takes most of its
// assignments out again.
func (s *School) offer(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	return s.on(ctx, conn, Offer, `SELECT id FROM courses WHERE workflow_state = 'created'`,
		`UPDATE assignments SET workflow_state = 'deleted', updated_at = $2 WHERE context_id = $1 AND title <> 'Copy 1'`,
		`UPDATE courses SET workflow_state = 'available', updated_at = $2 WHERE id = $1`,
		`INSERT INTO enrollments (user_id, course_id, type, workflow_state, created_at, updated_at, course_section_id, root_account_id, role_id)
			SELECT e.user_id, $1, e.type, 'active', $2::timestamp, $2, (SELECT min(id) FROM course_sections WHERE course_id = $1), e.root_account_id, e.role_id
			FROM (SELECT DISTINCT ON (user_id) * FROM enrollments WHERE type = 'StudentEnrollment' AND workflow_state = 'active' ORDER BY user_id, id LIMIT 20) e
			ON CONFLICT DO NOTHING`)
}

// conclude ends a course that was a copy. Those of the teachers go on.
func (s *School) conclude(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	return s.on(ctx, conn, Conclude, `SELECT id FROM courses WHERE workflow_state = 'available' AND id > `+strconv.FormatInt(s.courses+2, 10),
		`UPDATE courses SET workflow_state = 'completed', conclude_at = $2, updated_at = $2 WHERE id = $1`,
		`UPDATE enrollments SET workflow_state = 'completed', completed_at = $2, updated_at = $2 WHERE course_id = $1 AND workflow_state = 'active'`)
}

// accept takes up an invitation, or comes back after a pause.
func (s *School) accept(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	return s.on(ctx, conn, Enrol, `SELECT id FROM enrollments WHERE workflow_state IN ('invited', 'inactive')`,
		`UPDATE enrollments SET workflow_state = 'active', updated_at = $2 WHERE id = $1`)
}

// drop has a student leave a course. Canvas deletes their submissions there in a job.
func (s *School) drop(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	return s.on(ctx, conn, Drop, `SELECT id FROM enrollments WHERE type = 'StudentEnrollment' AND workflow_state = 'active' AND id % 7 = 0`,
		`UPDATE enrollments SET workflow_state = 'deleted', updated_at = $2 WHERE id = $1`,
		`UPDATE submissions s SET workflow_state = 'deleted', updated_at = $2 FROM enrollments e
			WHERE e.id = $1 AND s.user_id = e.user_id AND s.course_id = e.course_id AND s.workflow_state <> 'deleted'`)
}

// comeBack has them return.
func (s *School) comeBack(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	return s.on(ctx, conn, Return, `SELECT id FROM enrollments WHERE type = 'StudentEnrollment' AND workflow_state = 'deleted'`,
		`UPDATE enrollments SET workflow_state = 'active', updated_at = $2 WHERE id = $1`,
		`UPDATE submissions SET workflow_state = `+asBefore+`, updated_at = $2 WHERE id IN
			(SELECT s.id FROM submissions s JOIN enrollments e ON e.user_id = s.user_id AND e.course_id = s.course_id JOIN assignments a ON a.id = s.assignment_id
			WHERE e.id = $1 AND s.workflow_state = 'deleted' AND a.workflow_state <> 'deleted')`)
}

func (s *School) limit(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	return s.on(ctx, conn, Limit, `SELECT id FROM enrollments WHERE type = 'TaEnrollment'`,
		`UPDATE enrollments SET limit_privileges_to_course_section = NOT limit_privileges_to_course_section, updated_at = $2 WHERE id = $1`)
}

// channel confirms a second e-mail, or puts another first.
func (s *School) channel(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	return s.on(ctx, conn, Channel, `SELECT id FROM communication_channels WHERE path_type = 'email' AND position > 1`,
		`UPDATE communication_channels SET workflow_state = 'active', position = CASE WHEN workflow_state = 'active' THEN 3 - position % 4 ELSE position END, updated_at = $2 WHERE id = $1`)
}

func (s *School) logIn(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	op := school.Operation{Kind: LogIn, User: s.anybody()}
	var err error
	op.Rows, err = exec(ctx, conn, []string{
		`UPDATE users SET workflow_state = CASE workflow_state WHEN 'pre_registered' THEN 'registered' ELSE workflow_state END, updated_at = $2 WHERE id = $1`,
		`UPDATE enrollments SET last_activity_at = $2, total_activity_time = coalesce(total_activity_time, 0) + 120 WHERE user_id = $1 AND workflow_state = 'active'`,
	}, op.User, now())
	return op, err
}

// browse looks at pages.
func (s *School) browse(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	op := school.Operation{Kind: Browse, User: s.anybody()}
	var err error
	op.Rows, err = exec(ctx, conn, []string{`INSERT INTO asset_user_accesses (asset_code, user_id, context_id, context_type, last_access, created_at, updated_at, view_score, root_account_id)
		SELECT 'assignment_' || n, $1::bigint, 1, 'Course', $2::timestamp, $2, $2, 1, 1 FROM generate_series(1, 1 + $1::bigint % 5) n`}, op.User, now())
	return op, err
}
