package canvas

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// forEveryStudent is a row for each student of an assignment's course, in one statement.
// $1 is the assignment, $2 the time.
const forEveryStudent = `INSERT INTO submissions (assignment_id, user_id, course_id, root_account_id, workflow_state, created_at, updated_at, cached_due_date, anonymous_id)
	SELECT DISTINCT ON (e.user_id) a.id, e.user_id, a.context_id, a.root_account_id, 'unsubmitted', $2::timestamp, $2, a.due_at, lpad(to_hex(e.user_id * 7919 % (1 << 20)), 5, '0')
	FROM assignments a JOIN enrollments e ON e.course_id = a.context_id
	WHERE a.id = $1 AND e.type = 'StudentEnrollment' AND e.workflow_state IN ('active', 'invited')
	ON CONFLICT (user_id, assignment_id) DO NOTHING`

// asBefore is the state of a submission that is deleted no longer.
const asBefore = `CASE WHEN score IS NOT NULL OR excused THEN 'graded' WHEN submitted_at IS NOT NULL THEN 'submitted' ELSE 'unsubmitted' END`

// onAssignment runs statements in one transaction, of which $1 is one of the assignments
// of a query and $2 the time.
func (s *School) onAssignment(ctx context.Context, conn *pgx.Conn, kind, query string, statements ...string) (school.Operation, error) {
	op := school.Operation{Kind: kind}
	id, err := s.pick(ctx, conn, query, now())
	if err != nil || id == 0 {
		return op, err
	}
	if op.User, err = s.teacher(ctx, conn, id); err != nil {
		return op, err
	}
	op.Rows, err = exec(ctx, conn, statements, id, now())
	return op, err
}

// publish publishes an assignment, a draft or a new one; when enough are open, it locks the
// oldest instead.
func (s *School) publish(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	var open int
	if err := conn.QueryRow(ctx, `SELECT count(*)`+openAssignments, now()).Scan(&open); err != nil {
		return school.Operation{Kind: Publish}, err
	}
	if open > s.target {
		return s.lock(ctx, conn)
	}
	op, err := s.onAssignment(ctx, conn, Publish, `SELECT a.id FROM assignments a JOIN courses c ON c.id = a.context_id
		WHERE a.workflow_state = 'unpublished' AND c.workflow_state = 'available' AND $1::timestamp IS NOT NULL`,
		`UPDATE assignments SET workflow_state = 'published', due_at = $2::timestamp + interval '10 days', lock_at = NULL, updated_at = $2 WHERE id = $1`, forEveryStudent)
	if err != nil || op.Rows > 0 {
		return op, err
	}
	return s.create(ctx, conn)
}

// create makes a new assignment and publishes it: Canvas saves it, and makes the rows in
// a job soon after.
func (s *School) create(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	op := school.Operation{Kind: Publish}
	course, err := s.pick(ctx, conn, `SELECT id FROM courses WHERE workflow_state = 'available'`)
	if err != nil || course == 0 {
		return op, err
	}
	kind := "online_text_entry,online_upload"
	if s.random.IntN(5) == 0 {
		kind = "online_quiz"
	}
	var id int64
	err = conn.QueryRow(ctx, `INSERT INTO assignments (title, description, due_at, points_possible, grading_type, submission_types, workflow_state, context_id, context_type, created_at, updated_at, root_account_id)
		VALUES ($1, $2, $3::timestamp + interval '10 days', 100, 'points', $4, 'published', $5, 'Course', $3, $3, $6) RETURNING id`,
		s.random.Title(), "<p>"+s.random.Prose(40)+"</p>", now(), kind, course, int64(rootAccount)).Scan(&id)
	if err != nil {
		return op, err
	}
	if op.User, err = s.teacher(ctx, conn, id); err != nil {
		return op, err
	}
	rows, err := exec(ctx, conn, []string{forEveryStudent}, id, now())
	op.Rows = 1 + rows
	return op, err
}

// lock has the oldest assignment end in two seconds.
func (s *School) lock(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	return s.onAssignment(ctx, conn, Lock, `SELECT min(a.id)`+openAssignments,
		`UPDATE assignments SET lock_at = $2::timestamp + interval '2 seconds', updated_at = $2 WHERE id = $1`)
}

func (s *School) moveDue(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	return s.onAssignment(ctx, conn, MoveDue, `SELECT a.id`+openAssignments,
		`UPDATE assignments SET due_at = due_at + interval '1 day', updated_at = $2 WHERE id = $1`,
		`UPDATE submissions SET cached_due_date = cached_due_date + interval '1 day', updated_at = $2 WHERE assignment_id = $1 AND workflow_state <> 'deleted'`)
}

// unpublish takes back an assignment for which nobody has handed in anything: otherwise
// Canvas does not let one.
func (s *School) unpublish(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	return s.onAssignment(ctx, conn, Unpublish, `SELECT a.id`+openAssignments+` AND NOT EXISTS
		(SELECT FROM submissions s WHERE s.assignment_id = a.id AND s.submitted_at IS NOT NULL AND s.workflow_state <> 'deleted')`,
		`UPDATE assignments SET workflow_state = 'unpublished', updated_at = $2 WHERE id = $1`)
}

func (s *School) delete(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	return s.onAssignment(ctx, conn, Delete, `SELECT a.id`+openAssignments,
		`UPDATE assignments SET workflow_state = 'deleted', updated_at = $2 WHERE id = $1`,
		`UPDATE submissions SET workflow_state = 'deleted', updated_at = $2 WHERE assignment_id = $1 AND workflow_state <> 'deleted'`)
}

// restore brings back what was deleted: published if somebody had handed in.
func (s *School) restore(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	return s.onAssignment(ctx, conn, Restore, `SELECT a.id FROM assignments a JOIN courses c ON c.id = a.context_id
		WHERE a.workflow_state = 'deleted' AND c.workflow_state = 'available' AND $1::timestamp IS NOT NULL`,
		`UPDATE assignments SET updated_at = $2, workflow_state = CASE WHEN EXISTS
			(SELECT FROM submissions s WHERE s.assignment_id = $1 AND s.submitted_at IS NOT NULL) THEN 'published' ELSE 'unpublished' END WHERE id = $1`,
		`UPDATE submissions SET workflow_state = `+asBefore+`, updated_at = $2 WHERE assignment_id = $1 AND workflow_state = 'deleted'`)
}
