package main

import (
	"context"
	"errors"
	"math/rand/v2"
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
	allStaff      = `SELECT user_id FROM authtoken_token`

	// save is how an ORM saves: every column, changed or not.
	save = `UPDATE assignments_assignmentsubmission SET assignment_id = assignment_id, student_id = student_id, content = content,
		status = status, submitted_at = submitted_at, grade = grade, feedback = feedback, updated_at = now()`
)

// acts are what an LMS does to its database, drawn at random.
type acts struct {
	rand     *rand.Rand
	manyRows int    // of the large transaction
	mayLose  string // a query for the people whose role and account may be taken away
}

// strangeWords break what is careless with text.
func strangeWords() []string {
	return []string{
		`O'Brien "the" \ backslash`, "Война и мир", "宿題 3", "🎒 Essay 👩‍🏫", "tab\tand\nnewline", "<script>alert(1)</script>", "", "null", "١٢٣", "  spaces  ",
	}
}

// draw chooses what happens next.
func (a *acts) draw() operation {
	word := strangeWords()[a.rand.IntN(len(strangeWords()))]
	mark := a.rand.IntN(101)
	operations := []struct {
		weight int
		op     operation
	}{
		{10, a.insert("NULL", "draft")},
		{6, a.insert("clock_timestamp()", "submitted")},
		{12, a.on(drafts, orm("submitted_at = clock_timestamp()"))},
		{4, a.on(handedIn, orm("submitted_at = clock_timestamp()"))},
		{3, a.on(handedIn, orm("submitted_at = NULL"))},
		{10, a.on(handedIn+` AND grade IS NULL`, orm("grade = $2"), mark)},
		{4, a.on(gradedOnes, orm("grade = $2"), mark)},
		{3, a.on(anySubmission, orm("grade = 0"))},
		{3, a.on(gradedOnes, orm("grade = NULL"))},
		{4, saveAgain},
		{3, a.on(anyAssignment, `UPDATE assignments_assignmentsubmission SET grade = $2, status = 'graded' WHERE assignment_id = $1 AND submitted_at IS NOT NULL`, mark)},
		{2, a.on(anyAssignment, `UPDATE assignments_assignmentsubmission s SET submitted_at = now() FROM accounts_studentprofile p WHERE p.user_id = s.student_id AND s.assignment_id = $1 AND s.id % 7 = 0`)},
		{3, a.insertMany},
		{4, a.savepoints},
		{4, a.rolledBack},
		{3, a.on(anySubmission, `DELETE FROM assignments_assignmentsubmission WHERE id = $1`)},
		{1, a.on(anyAssignment, `DELETE FROM assignments_assignmentsubmission WHERE assignment_id = $1;
			DELETE FROM assignments_assignment_assigned_to WHERE assignment_id = $1; DELETE FROM assignments_assignment WHERE id = $1`)},
		{1, a.on(anyStudent, `DELETE FROM assignments_assignmentsubmission WHERE student_id = $1; DELETE FROM assignments_assignment_assigned_to WHERE user_id = $1;
			DELETE FROM accounts_studentprofile WHERE user_id = $1; DELETE FROM accounts_user WHERE id = $1`)},
		{6, a.assign(word)},
		{2, a.on(anyAssignment, `UPDATE assignments_assignment SET title = $2, status = status, description = description WHERE id = $1`, word)},
		{3, a.on(anyAssignment+` WHERE status <> 'closed'`, `UPDATE assignments_assignment SET status = 'closed', title = title, description = description WHERE id = $1`)},
		{1, a.on(anyAssignment+` WHERE status = 'closed'`, `UPDATE assignments_assignment SET status = 'published' WHERE id = $1`)},
		{1, a.on(anyAssignment, `UPDATE assignments_assignment SET author_id = (SELECT id FROM accounts_user WHERE role = 'teacher' ORDER BY id OFFSET $2 % (SELECT count(*) FROM accounts_user WHERE role = 'teacher') LIMIT 1) WHERE id = $1`, mark)},
		{1, a.on(anyAssignment, `DELETE FROM assignments_assignment_assigned_to WHERE assignment_id = $1 AND id % 2 = 0`)},
		{2, a.on(anyStudent, `UPDATE accounts_studentprofile SET tutor_id = (SELECT id FROM accounts_user WHERE role = 'tutor' ORDER BY id OFFSET $2 % (SELECT count(*) FROM accounts_user WHERE role = 'tutor') LIMIT 1) WHERE user_id = $1`, mark)},
		{1, a.on(anyStudent, `UPDATE accounts_studentprofile SET tutor_id = NULL WHERE user_id = $1`)},
		{2, a.on(anyStudent, `UPDATE accounts_user SET first_name = $2, last_name = $2, email = 'x@школа.example' WHERE id = $1`, word)},
		{5, a.on(a.mayLose, `UPDATE accounts_user SET role = $2 WHERE id = $1`, []string{"teacher", "tutor", "admin", "student"}[a.rand.IntN(4)])},
		{5, a.on(a.mayLose, `UPDATE accounts_user SET is_active = NOT is_active, last_login = now() WHERE id = $1`)},
		{3, a.on(a.mayLose, `UPDATE accounts_user SET is_active = true WHERE id = $1`)},
		{5, session},
	}
	total := 0
	for _, o := range operations {
		total += o.weight
	}
	n := a.rand.IntN(total)
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
func (a *acts) insert(submittedAt, status string) operation {
	return func(ctx context.Context, tx pgx.Tx) error {
		assignment, err := a.pick(ctx, tx, anyAssignment)
		if err != nil {
			return err
		}
		student, err := a.pick(ctx, tx, anyStudent+` WHERE user_id NOT IN (SELECT student_id FROM assignments_assignmentsubmission WHERE assignment_id = $1)`, assignment)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO assignments_assignmentsubmission (assignment_id, student_id, content, status, submitted_at, feedback, updated_at)
			VALUES ($1, $2, repeat('é', 3000), '`+status+`', `+submittedAt+`, '', now())`, assignment, student)
		return err
	}
}

// insertMany is bulk_create: many rows by one statement, some handed in already.
func (a *acts) insertMany(ctx context.Context, tx pgx.Tx) error {
	assignment, err := a.pick(ctx, tx, anyAssignment)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO assignments_assignmentsubmission (assignment_id, student_id, content, status, submitted_at, grade, feedback, updated_at)
		SELECT $1, user_id, '', 'draft', CASE WHEN user_id % 2 = 0 THEN clock_timestamp() END, CASE WHEN user_id % 4 = 0 THEN 7 END, '', now()
		FROM accounts_studentprofile WHERE user_id % 23 = $2 ON CONFLICT DO NOTHING`, assignment, a.rand.IntN(23))
	return err
}

// savepoints keeps some of a transaction and rolls the rest back, as nested
// atomic() blocks do.
func (a *acts) savepoints(ctx context.Context, tx pgx.Tx) error {
	for range 3 {
		inner, err := tx.Begin(ctx)
		if err != nil {
			return err
		}
		err = a.on(handedIn, orm("grade = $2"), a.rand.IntN(101))(ctx, inner)
		if err == nil {
			err = a.insertMany(ctx, inner)
		}
		if err != nil || a.rand.IntN(2) == 0 {
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
func (a *acts) rolledBack(ctx context.Context, tx pgx.Tx) error {
	if err := a.assign("never")(ctx, tx); err != nil {
		return err
	}
	if err := a.insertMany(ctx, tx); err != nil {
		return err
	}
	return errRollback
}

// assign makes an assignment, with a description long enough to be stored out of
// line, and gives it to some students.
func (a *acts) assign(title string) operation {
	return func(ctx context.Context, tx pgx.Tx) error {
		author, err := a.pick(ctx, tx, `SELECT id FROM accounts_user WHERE role = 'teacher'`)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `WITH made AS (
				INSERT INTO assignments_assignment (title, description, author_id, status, due_date, created_at, updated_at)
				VALUES ($1::text, $1::text || (SELECT string_agg(md5(i::text || $3::int::text), 'ж') FROM generate_series(1, $4::int) i), $2,
					CASE $3::int % 5 WHEN 0 THEN 'draft' WHEN 1 THEN 'closed' ELSE 'published' END,
					CASE $3::int % 3 WHEN 0 THEN NULL ELSE now() + interval '1 week' END, now(), now())
				RETURNING id)
			INSERT INTO assignments_assignment_assigned_to (assignment_id, user_id)
			SELECT made.id, user_id FROM made, accounts_studentprofile WHERE user_id % 20 = $3::int % 20`,
			title, author, a.rand.IntN(1000), 1+a.rand.IntN(300))
		return err
	}
}

// insertManyRows is one transaction of very many rows: assignments of one teacher,
// handed in by five hundred students.
func (a *acts) insertManyRows(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `WITH made AS (
			INSERT INTO assignments_assignment (title, description, author_id, status, created_at, updated_at)
			SELECT 'imported', '', (SELECT min(id) FROM accounts_user WHERE role = 'teacher'), 'published', now(), now()
			FROM generate_series(1, $1)
			RETURNING id)
		INSERT INTO assignments_assignmentsubmission (assignment_id, student_id, content, status, submitted_at, feedback, updated_at)
		SELECT made.id, user_id, '', 'submitted', now(), '', now() FROM made, accounts_studentprofile`, a.manyRows/500)
	return err
}

func (a *acts) deleteManyRows(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM assignments_assignmentsubmission WHERE assignment_id IN (SELECT id FROM assignments_assignment WHERE title = 'imported')`)
	if err == nil {
		_, err = tx.Exec(ctx, `DELETE FROM assignments_assignment WHERE title = 'imported'`)
	}
	return err
}

// errRollback ends a transaction that should leave nothing.
var errRollback = errors.New("rolled back on purpose")

type operation func(ctx context.Context, tx pgx.Tx) error

// pick draws the id of a row that a query finds; errRollback when there is none.
func (a *acts) pick(ctx context.Context, tx pgx.Tx, query string, args ...any) (int64, error) {
	rows, err := tx.Query(ctx, query+` ORDER BY 1`, args...)
	if err != nil {
		return 0, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return 0, err
	}
	if len(ids) == 0 {
		return 0, errRollback
	}
	return ids[a.rand.IntN(len(ids))], nil
}

// on makes an operation of a statement about one row that a query finds.
func (a *acts) on(query, statement string, args ...any) operation {
	return func(ctx context.Context, tx pgx.Tx) error {
		id, err := a.pick(ctx, tx, query)
		if err != nil {
			return err
		}
		for part := range strings.SplitSeq(statement, ";") {
			values := []any{id}
			if strings.Contains(part, "$2") {
				values = append(values, args...)
			}
			if _, err := tx.Exec(ctx, part, values...); err != nil {
				return err
			}
		}
		return nil
	}
}
