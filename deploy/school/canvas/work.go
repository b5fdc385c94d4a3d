package canvas

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// Of the assignments on which is worked: $1 is the time.
const openAssignments = ` FROM assignments a JOIN courses c ON c.id = a.context_id WHERE c.workflow_state = 'available'
	AND a.workflow_state = 'published' AND (a.lock_at IS NULL OR a.lock_at > $1::timestamp + interval '1 day')`

// work is one student's on one assignment.
type work struct{ id, assignment, course, student, teacher int64 }

// find chooses work on an open assignment, under a condition; nil: there is none.
func (s *School) find(ctx context.Context, conn *pgx.Conn, condition string) (*work, error) {
	id, err := s.pick(ctx, conn, `SELECT s.id FROM submissions s JOIN (SELECT a.id, a.submission_types`+openAssignments+`) a
		ON a.id = s.assignment_id WHERE s.workflow_state <> 'deleted' AND `+condition, now())
	if err != nil || id == 0 {
		return nil, err
	}
	w := work{id: id}
	err = conn.QueryRow(ctx, `SELECT s.assignment_id, s.course_id, s.user_id, (SELECT min(e.user_id) FROM enrollments e
		WHERE e.course_id = s.course_id AND e.type = 'TeacherEnrollment') FROM submissions s WHERE s.id = $1`, id).
		Scan(&w.assignment, &w.course, &w.student, &w.teacher)
	return &w, err
}

// version notes what a submission has become, as Canvas does at each save.
const version = `INSERT INTO versions (versionable_id, versionable_type, number, yaml, created_at)
	SELECT s.id, 'Submission', 1 + (SELECT count(*) FROM versions v WHERE v.versionable_id = s.id AND v.versionable_type = 'Submission'),
		'---' || chr(10) || 'body: ' || coalesce(s.body, '') || chr(10) || 'score: ' || coalesce(s.score::text, ''), s.updated_at
	FROM submissions s WHERE s.id = `

// write runs an UPDATE of what was found, of which $1 is the id and $2 the time, and notes
// the version, in one transaction.
func (s *School) write(ctx context.Context, conn *pgx.Conn, op school.Operation, w *work, set string, args ...any) (school.Operation, error) {
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE submissions SET updated_at = $2, `+set+` WHERE id = $1`, append([]any{w.id, now()}, args...)...)
		if err != nil {
			return err
		}
		op.Rows = int(tag.RowsAffected())
		_, err = tx.Exec(ctx, version+`$1`, w.id)
		return err
	})
	return op, err
}

// byStudent and byTeacher do something to the work of which a condition holds.
func (s *School) byStudent(ctx context.Context, conn *pgx.Conn, kind, condition, set string, args ...any) (school.Operation, error) {
	op := school.Operation{Kind: kind}
	w, err := s.find(ctx, conn, condition)
	if err != nil || w == nil {
		return op, err
	}
	op.User = w.student
	return s.write(ctx, conn, op, w, set, args...)
}

func (s *School) byTeacher(ctx context.Context, conn *pgx.Conn, kind, condition, set string, args ...any) (school.Operation, error) {
	op := school.Operation{Kind: kind}
	w, err := s.find(ctx, conn, condition)
	if err != nil || w == nil {
		return op, err
	}
	op.User = w.teacher
	return s.write(ctx, conn, op, w, set+`, grader_id = `+teacherOf, args...)
}

const (
	teacherOf = `(SELECT min(e.user_id) FROM enrollments e WHERE e.course_id = submissions.course_id AND e.type = 'TeacherEnrollment')`

	handIn = `submission_type = 'online_text_entry', body = $3, submitted_at = $2, attempt = coalesce(attempt, 0) + 1, workflow_state = 'submitted',
		processed = true, cached_tardiness = CASE WHEN cached_due_date < $2 THEN 'late' END,
		grade_matches_current_submission = CASE WHEN score IS NOT NULL THEN false ELSE grade_matches_current_submission END`

	// A third of the assignments keep their grades hidden until they are posted.
	mark = `score = $3::float8, grade = $3::float8::text, published_score = $3::float8, published_grade = $3::float8::text, graded_at = $2,
		grade_matches_current_submission = true, excused = false, posted_at = CASE WHEN assignment_id % 3 = 0 THEN posted_at ELSE coalesce(posted_at, $2) END`
)

func (s *School) submit(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	return s.byStudent(ctx, conn, Submit, `s.workflow_state = 'unsubmitted' AND s.excused IS NOT TRUE AND a.submission_types <> 'online_quiz'`, handIn, s.random.Essay())
}

func (s *School) resubmit(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	return s.byStudent(ctx, conn, Resubmit, `s.attempt < 5 AND s.excused IS NOT TRUE AND a.submission_types <> 'online_quiz'`, handIn, s.random.Essay())
}

func (s *School) saveAgain(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	return s.byStudent(ctx, conn, SaveAgain, `s.attempt IS NOT NULL`, `processed = true, turnitin_data = $3`, s.random.Prose(20))
}

func (s *School) grade(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	return s.byTeacher(ctx, conn, Grade, `s.workflow_state IN ('submitted', 'pending_review')`, mark+`, workflow_state = 'graded'`, s.score())
}

func (s *School) regrade(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	return s.byTeacher(ctx, conn, Regrade, `s.workflow_state = 'graded' AND s.score IS NOT NULL`, mark+`, workflow_state = 'graded'`, s.score())
}

func (s *School) ungrade(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	return s.byTeacher(ctx, conn, Ungrade, `s.workflow_state = 'graded' AND s.score IS NOT NULL`,
		`score = NULL, grade = NULL, published_score = NULL, published_grade = NULL, graded_at = $2`)
}

func (s *School) excuse(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	return s.byTeacher(ctx, conn, Excuse, `s.excused IS NOT TRUE`,
		`excused = true, score = NULL, grade = NULL, published_score = NULL, published_grade = NULL, workflow_state = 'graded', graded_at = $2, posted_at = coalesce(posted_at, $2)`)
}

// quiz is taken: nobody grades it but the quiz, and where it has an essay, not all of it.
func (s *School) quiz(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	state := "graded"
	if s.random.IntN(4) == 0 {
		state = "pending_review"
	}
	return s.byStudent(ctx, conn, Quiz, `s.workflow_state IN ('unsubmitted', 'graded') AND coalesce(s.attempt, 0) < 3 AND s.excused IS NOT TRUE AND a.submission_types = 'online_quiz'`,
		`submission_type = 'online_quiz', submitted_at = $2, attempt = coalesce(attempt, 0) + 1, grader_id = -assignment_id, workflow_state = $4, `+mark, s.score(), state)
}

// post shows what is hidden.
func (s *School) post(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	op := school.Operation{Kind: Post}
	assignment, err := s.pick(ctx, conn, `SELECT a.id`+openAssignments+` AND EXISTS
		(SELECT FROM submissions s WHERE s.assignment_id = a.id AND s.workflow_state = 'graded' AND s.posted_at IS NULL)`, now())
	if err != nil || assignment == 0 {
		return op, err
	}
	if op.User, err = s.teacher(ctx, conn, assignment); err != nil {
		return op, err
	}
	op.Rows, err = exec(ctx, conn, []string{`UPDATE submissions SET posted_at = $2, updated_at = $2
		WHERE assignment_id = $1 AND posted_at IS NULL AND workflow_state <> 'deleted'`}, assignment, now())
	return op, err
}

// teacher is who teaches the course of an assignment.
func (s *School) teacher(ctx context.Context, conn *pgx.Conn, assignment int64) (id int64, err error) {
	err = conn.QueryRow(ctx, `SELECT min(e.user_id) FROM enrollments e JOIN assignments a ON a.context_id = e.course_id
		WHERE a.id = $1 AND e.type = 'TeacherEnrollment'`, assignment).Scan(&id)
	return id, err
}
