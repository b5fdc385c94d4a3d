package main

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
)

const (
	anyAssignment = `SELECT id FROM assignments_assignment`
	anySubmission = `SELECT id FROM assignments_assignmentsubmission`
	handedIn      = anySubmission + ` WHERE submitted_at IS NOT NULL`
	drafts        = anySubmission + ` WHERE submitted_at IS NULL`
	gradedOnes    = anySubmission + ` WHERE grade IS NOT NULL`
	anyStudent    = `SELECT user_id FROM accounts_studentprofile`
	someStaff     = `SELECT user_id FROM authtoken_token`

	// save is how an ORM saves: every column, changed or not.
	save = `UPDATE assignments_assignmentsubmission SET assignment_id = assignment_id, student_id = student_id, content = content,
		status = status, submitted_at = submitted_at, grade = grade, feedback = feedback, updated_at = now()`
)

// strangeWords break what is careless with text.
func strangeWords() []string {
	return []string{
		`O'Brien "the" \ backslash`, "Война и мир", "宿題 3", "🎒 Essay 👩‍🏫", "tab\tand\nnewline", "<script>alert(1)</script>", "", "null", "١٢٣", "  spaces  ",
	}
}

// draw chooses what happens next.
func (s *scenario) draw() operation {
	word := strangeWords()[s.rand.IntN(len(strangeWords()))]
	mark := s.rand.IntN(101)
	operations := []struct {
		weight int
		op     operation
	}{
		{10, s.insert("NULL", "draft")},
		{6, s.insert("clock_timestamp()", "submitted")},
		{12, s.on(drafts, orm("submitted_at = clock_timestamp()"))},
		{4, s.on(handedIn, orm("submitted_at = clock_timestamp()"))},
		{3, s.on(handedIn, orm("submitted_at = NULL"))},
		{10, s.on(handedIn+` AND grade IS NULL`, orm("grade = $2"), mark)},
		{4, s.on(gradedOnes, orm("grade = $2"), mark)},
		{3, s.on(anySubmission, orm("grade = 0"))},
		{3, s.on(gradedOnes, orm("grade = NULL"))},
		{4, saveAgain},
		{3, s.on(anyAssignment, `UPDATE assignments_assignmentsubmission SET grade = $2, status = 'graded' WHERE assignment_id = $1 AND submitted_at IS NOT NULL`, mark)},
		{2, s.on(anyAssignment, `UPDATE assignments_assignmentsubmission s SET submitted_at = now() FROM accounts_studentprofile p WHERE p.user_id = s.student_id AND s.assignment_id = $1 AND s.id % 7 = 0`)},
		{3, s.insertMany},
		{4, s.savepoints},
		{4, s.rolledBack},
		{3, s.on(anySubmission, `DELETE FROM assignments_assignmentsubmission WHERE id = $1`)},
		{1, s.on(anyAssignment, `DELETE FROM assignments_assignmentsubmission WHERE assignment_id = $1;
			DELETE FROM assignments_assignment_assigned_to WHERE assignment_id = $1; DELETE FROM assignments_assignment WHERE id = $1`)},
		{1, s.on(anyStudent, `DELETE FROM assignments_assignmentsubmission WHERE student_id = $1; DELETE FROM assignments_assignment_assigned_to WHERE user_id = $1;
			DELETE FROM accounts_studentprofile WHERE user_id = $1; DELETE FROM accounts_user WHERE id = $1`)},
		{6, s.assign(word)},
		{2, s.on(anyAssignment, `UPDATE assignments_assignment SET title = $2, status = status, description = description WHERE id = $1`, word)},
		{3, s.on(anyAssignment+` WHERE status <> 'closed'`, `UPDATE assignments_assignment SET status = 'closed', title = title, description = description WHERE id = $1`)},
		{1, s.on(anyAssignment+` WHERE status = 'closed'`, `UPDATE assignments_assignment SET status = 'published' WHERE id = $1`)},
		{1, s.on(anyAssignment, `UPDATE assignments_assignment SET author_id = (SELECT id FROM accounts_user WHERE role = 'teacher' ORDER BY id OFFSET $2 % 10 LIMIT 1) WHERE id = $1`, mark)},
		{1, s.on(anyAssignment, `DELETE FROM assignments_assignment_assigned_to WHERE assignment_id = $1 AND id % 2 = 0`)},
		{2, s.on(anyStudent, `UPDATE accounts_studentprofile SET tutor_id = (SELECT id FROM accounts_user WHERE role = 'tutor' ORDER BY id OFFSET $2 % 4 LIMIT 1) WHERE user_id = $1`, mark)},
		{1, s.on(anyStudent, `UPDATE accounts_studentprofile SET tutor_id = NULL WHERE user_id = $1`)},
		{2, s.on(anyStudent, `UPDATE accounts_user SET first_name = $2, last_name = $2, email = 'x@школа.example' WHERE id = $1`, word)},
		{5, s.on(someStaff, `UPDATE accounts_user SET role = $2 WHERE id = $1`, []string{"teacher", "tutor", "admin", "student"}[s.rand.IntN(4)])},
		{5, s.on(someStaff, `UPDATE accounts_user SET is_active = NOT is_active, last_login = now() WHERE id = $1`)},
		{3, s.on(someStaff, `UPDATE accounts_user SET is_active = true WHERE id = $1`)},
		{5, session},
	}
	total := 0
	for _, o := range operations {
		total += o.weight
	}
	n := s.rand.IntN(total)
	for _, o := range operations {
		if n -= o.weight; n < 0 {
			return o.op
		}
	}
	panic("unreachable")
}

// orm is a save of one submission in which one column has changed.
func orm(assignment string) string {
	column, _, _ := strings.Cut(assignment, " ")
	return strings.Replace(save, column+" = "+column, assignment, 1) + ` WHERE id = $1`
}

// saveAgain saves what has not changed.
func saveAgain(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, save+` WHERE id = (SELECT min(id) FROM assignments_assignmentsubmission)`)
	return err
}

// session is what every request of a browser writes.
func session(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `INSERT INTO django_session (session_key, session_data, expire_date) VALUES ('k', 'x', now())
		ON CONFLICT (session_key) DO UPDATE SET session_data = django_session.session_data || 'x', expire_date = now()`)
	return err
}

// insert makes one submission.
func (s *scenario) insert(submittedAt, status string) operation {
	return func(ctx context.Context, tx pgx.Tx) error {
		assignment, ok1 := s.pick(ctx, tx, anyAssignment)
		student, ok2 := s.pick(ctx, tx, anyStudent+` WHERE user_id NOT IN (SELECT student_id FROM assignments_assignmentsubmission WHERE assignment_id = $1)`, assignment)
		if !ok1 || !ok2 {
			return errRollback
		}
		_, err := tx.Exec(ctx, `INSERT INTO assignments_assignmentsubmission (assignment_id, student_id, content, status, submitted_at, feedback, updated_at)
			VALUES ($1, $2, repeat('é', 3000), '`+status+`', `+submittedAt+`, '', now())`, assignment, student)
		return err
	}
}

// insertMany is bulk_create: many rows by one statement, some handed in already.
func (s *scenario) insertMany(ctx context.Context, tx pgx.Tx) error {
	assignment, ok := s.pick(ctx, tx, anyAssignment)
	if !ok {
		return errRollback
	}
	_, err := tx.Exec(ctx, `INSERT INTO assignments_assignmentsubmission (assignment_id, student_id, content, status, submitted_at, grade, feedback, updated_at)
		SELECT $1, user_id, '', 'draft', CASE WHEN user_id % 2 = 0 THEN clock_timestamp() END, CASE WHEN user_id % 4 = 0 THEN 7 END, '', now()
		FROM accounts_studentprofile WHERE user_id % 23 = $2 ON CONFLICT DO NOTHING`, assignment, s.rand.IntN(23))
	return err
}

// savepoints keeps some of a transaction and rolls the rest back, as nested
// atomic() blocks do.
func (s *scenario) savepoints(ctx context.Context, tx pgx.Tx) error {
	for range 3 {
		inner, err := tx.Begin(ctx)
		if err != nil {
			return err
		}
		err = s.on(handedIn, orm("grade = $2"), s.rand.IntN(101))(ctx, inner)
		if err == nil {
			err = s.insertMany(ctx, inner)
		}
		if err != nil || s.rand.IntN(2) == 0 {
			if err := inner.Rollback(ctx); err != nil {
				return err
			}
			continue
		}
		if err := inner.Commit(ctx); err != nil {
			return err
		}
	}
	return nil
}

// rolledBack does much and then nothing of it.
func (s *scenario) rolledBack(ctx context.Context, tx pgx.Tx) error {
	if err := s.assign("never")(ctx, tx); err != nil {
		return err
	}
	if err := s.insertMany(ctx, tx); err != nil {
		return err
	}
	return errRollback
}

// assign makes an assignment, with a description long enough to be stored out of
// line, and gives it to some students.
func (s *scenario) assign(title string) operation {
	return func(ctx context.Context, tx pgx.Tx) error {
		author, ok := s.pick(ctx, tx, `SELECT id FROM accounts_user WHERE role = 'teacher'`)
		if !ok {
			return errRollback
		}
		_, err := tx.Exec(ctx, `WITH made AS (
				INSERT INTO assignments_assignment (title, description, author_id, status, due_date, created_at, updated_at)
				VALUES ($1::text, $1::text || (SELECT string_agg(md5(i::text || $3::int::text), 'ж') FROM generate_series(1, $4::int) i), $2,
					CASE $3::int % 5 WHEN 0 THEN 'draft' WHEN 1 THEN 'closed' ELSE 'published' END,
					CASE $3::int % 3 WHEN 0 THEN NULL ELSE now() + interval '1 week' END, now(), now())
				RETURNING id)
			INSERT INTO assignments_assignment_assigned_to (assignment_id, user_id)
			SELECT made.id, user_id FROM made, accounts_studentprofile WHERE user_id % 20 = $3::int % 20`,
			title, author, s.rand.IntN(1000), 1+s.rand.IntN(300))
		return err
	}
}

// insertManyRows is one transaction of very many rows: assignments of one teacher,
// handed in by five hundred students.
func (s *scenario) insertManyRows(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `WITH made AS (
			INSERT INTO assignments_assignment (title, description, author_id, status, created_at, updated_at)
			SELECT 'imported', '', (SELECT min(id) FROM accounts_user WHERE role = 'teacher'), 'published', now(), now()
			FROM generate_series(1, $1)
			RETURNING id)
		INSERT INTO assignments_assignmentsubmission (assignment_id, student_id, content, status, submitted_at, feedback, updated_at)
		SELECT made.id, user_id, '', 'submitted', now(), '', now() FROM made, accounts_studentprofile`, s.manyRows/500)
	return err
}

func (s *scenario) deleteManyRows(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM assignments_assignmentsubmission WHERE assignment_id IN (SELECT id FROM assignments_assignment WHERE title = 'imported')`)
	if err == nil {
		_, err = tx.Exec(ctx, `DELETE FROM assignments_assignment WHERE title = 'imported'`)
	}
	return err
}
