package school

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// publish publishes a draft or makes a new assignment: the row and whom it is given
// to in one transaction, as the ORM's atomic() does it.
func (s *School) publish(ctx context.Context, conn *pgx.Conn) (Operation, error) {
	for _, a := range s.open {
		if a.draft {
			a.draft, a.row.Status = false, "published"
			return s.saveAssignment(ctx, conn, Publish, a)
		}
	}
	a := s.newAssignment(now())
	op := Operation{Kind: Publish, User: a.row.Author, Rows: 1 + len(a.threads)}
	students := make([]int64, len(a.threads))
	for i, th := range a.threads {
		students[i] = s.Students[th.student].ID
	}
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		r := a.row
		err := tx.QueryRow(ctx, `INSERT INTO assignments_assignment
			(title, description, author_id, status, due_date, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id`,
			r.Title, r.Description, r.Author, r.Status, r.Due, r.Created, r.Updated).Scan(&a.id)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO assignments_assignment_assigned_to (assignment_id, user_id)
			SELECT $1, unnest($2::bigint[]) ON CONFLICT DO NOTHING`, a.id, students)
		return err
	})
	if err != nil {
		return op, err
	}
	s.open = append(s.open, a)
	return op, nil
}

// close closes the oldest assignment, after which nobody works on it.
func (s *School) close(ctx context.Context, conn *pgx.Conn) (Operation, error) {
	a := s.open[0]
	a.row.Status = "closed"
	op, err := s.saveAssignment(ctx, conn, Close, a)
	if err != nil {
		return op, err
	}
	s.open = append(s.open[:0], s.open[1:]...)
	return op, nil
}

// saveAssignment writes all columns, as the ORM's save() does.
func (s *School) saveAssignment(ctx context.Context, conn *pgx.Conn, kind string, a *assignment) (Operation, error) {
	a.row.Updated = now()
	r := a.row
	_, err := conn.Exec(ctx, `UPDATE assignments_assignment SET title = $2, description = $3, author_id = $4, status = $5,
		due_date = $6, created_at = $7, updated_at = $8 WHERE id = $1`,
		a.id, r.Title, r.Description, r.Author, r.Status, r.Due, r.Created, r.Updated)
	return Operation{Kind: kind, User: r.Author, Rows: 1}, err
}

// begin saves a student's first version: mostly a draft, now and then the work as
// it is handed in.
func (s *School) begin(ctx context.Context, conn *pgx.Conn, a *assignment, th *thread) (Operation, error) {
	r := submissionRow{
		Assignment: a.id,
		Student:    s.Students[th.student].ID,
		Content:    s.rand.Essay(),
		Status:     "draft",
		Updated:    now(),
	}
	op := Operation{Kind: Draft, User: r.Student, Rows: 1}
	if s.rand.IntN(4) == 0 {
		op.Kind, r.Status, r.Submitted = HandIn, "submitted", &r.Updated
	}
	err := conn.QueryRow(ctx, `INSERT INTO assignments_assignmentsubmission
		(assignment_id, student_id, content, status, submitted_at, grade, feedback, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id`,
		r.Assignment, r.Student, r.Content, r.Status, r.Submitted, r.Grade, r.Feedback, r.Updated).Scan(&r.ID)
	if err != nil {
		return op, err
	}
	th.row = r
	return op, nil
}

func (s *School) handIn(ctx context.Context, conn *pgx.Conn, th *thread) (Operation, error) {
	at := now()
	th.row.Status, th.row.Submitted, th.row.Content = "submitted", &at, s.rand.Essay()
	return s.save(ctx, conn, HandIn, th.row.Student, th)
}

// save writes all columns, changed or not, as the ORM's save() does.
func (s *School) save(ctx context.Context, conn *pgx.Conn, kind string, user int64, th *thread) (Operation, error) {
	th.row.Updated = now()
	r := th.row
	_, err := conn.Exec(ctx, `UPDATE assignments_assignmentsubmission SET assignment_id = $2, student_id = $3, content = $4,
		status = $5, submitted_at = $6, grade = $7, feedback = $8, updated_at = $9 WHERE id = $1`,
		r.ID, r.Assignment, r.Student, r.Content, r.Status, r.Submitted, r.Grade, r.Feedback, r.Updated)
	return Operation{Kind: kind, User: user, Rows: 1}, err
}

// gradeAll grades what is handed in with one statement, which no signal of the
// platform's sees.
func (s *School) gradeAll(ctx context.Context, conn *pgx.Conn, a *assignment) (Operation, error) {
	op := Operation{Kind: GradeAll, User: a.row.Author}
	grade := 50 + s.rand.IntN(51)
	at := now()
	tag, err := conn.Exec(ctx, `UPDATE assignments_assignmentsubmission SET grade = $2, status = 'graded', updated_at = $3
		WHERE assignment_id = $1 AND status = 'submitted'`, a.id, grade, at)
	if err != nil {
		return op, err
	}
	op.Rows = int(tag.RowsAffected())
	for i := range a.threads {
		if r := &a.threads[i].row; r.Status == "submitted" {
			r.Grade, r.Status, r.Updated = &grade, "graded", at
		}
	}
	return op, nil
}

// logIn notes the log-in on the account, starts a session and ends the oldest.
func (s *School) logIn(ctx context.Context, conn *pgx.Conn) (Operation, error) {
	op := Operation{Kind: LogIn, User: s.anybody(), Rows: 3}
	at, key, data := now(), s.rand.Hex(32), s.rand.Hex(200)
	old := s.sessions[0]
	s.sessions = append(s.sessions[:0], s.sessions[1:]...)
	s.sessions = append(s.sessions, key)
	var statements pgx.Batch
	statements.Queue("UPDATE accounts_user SET last_login = $2 WHERE id = $1", op.User, at)
	statements.Queue("INSERT INTO django_session VALUES ($1, $2, $3)", key, data, at.Add(14*24*time.Hour))
	statements.Queue("DELETE FROM django_session WHERE session_key = $1", old)
	return op, conn.SendBatch(ctx, &statements).Close()
}

// browse reads pages: each leaves a view, and the session is written again.
func (s *School) browse(ctx context.Context, conn *pgx.Conn) (Operation, error) {
	views := 1 + s.rand.IntN(5)
	op := Operation{Kind: Browse, User: s.anybody(), Rows: views + 1}
	at := now()
	key := s.sessions[s.rand.IntN(len(s.sessions))]
	var statements pgx.Batch
	statements.Queue("INSERT INTO analytics_pageview (path, user_id, took_ms, at) SELECT '/assignments/' || n || '/', $1, n * 7, $2 "+
		"FROM generate_series(1, $3::int) n", op.User, at, views)
	statements.Queue("UPDATE django_session SET session_data = $2, expire_date = $3 WHERE session_key = $1",
		key, s.rand.Hex(200), at.Add(14*24*time.Hour))
	return op, conn.SendBatch(ctx, &statements).Close()
}

// anybody is one of the students or the staff.
func (s *School) anybody() int64 {
	n := len(s.Admins) + len(s.Teachers) + len(s.Tutors) + len(s.Students)
	return 1 + s.rand.Int64N(int64(n))
}
