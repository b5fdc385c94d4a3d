package school

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// assignmentRow is a row of assignments_assignment.
type assignmentRow struct {
	Title, Description string
	Author             int64
	Status             string
	Due                *time.Time
	Created, Updated   time.Time
}

// submissionRow is a row of assignments_assignmentsubmission.
type submissionRow struct {
	ID, Assignment, Student int64
	Content, Status         string
	Submitted               *time.Time
	Grade                   *int
	Feedback                string
	Updated                 time.Time
}

// weeks is how long the term has been going on.
const weeks = 12

// Populate fills the tables that Create made with a term of work: assignments in
// all states, drafts, work handed in, grades. All of it is one transaction.
func Populate(ctx context.Context, conn *pgx.Conn, size Size, seed uint64) (*School, error) {
	if err := size.Check(); err != nil {
		return nil, err
	}
	s := &School{rand: NewRandom(seed), target: max(size.Assignments/4, size.Teachers)}
	s.enrol(size)
	t := &term{school: s, now: now()}
	for i := range size.Assignments {
		t.assign(int64(i+1), size.Assignments)
	}
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return t.write(ctx, tx) })
	if err != nil {
		return nil, fmt.Errorf("populate the school: %w", err)
	}
	return s, nil
}

// term collects the rows of the term so far, in the order of COPY.
type term struct {
	school                             *School
	now                                time.Time
	assignments, assigned, submissions [][]any
}

// assign makes one assignment, the n-th of all, with what its class has done.
func (t *term) assign(id int64, all int) {
	s := t.school
	length := weeks * 7 * 24 * time.Hour
	created := t.now.Add(-length + time.Duration(float64(length)*float64(id)/float64(all+1))).Truncate(time.Second)
	a := s.newAssignment(created)
	a.id = id
	a.draft = s.rand.IntN(25) == 0
	over := a.row.Due != nil && a.row.Due.Before(t.now.AddDate(0, 0, -3))
	switch {
	case a.draft:
		a.row.Status = "draft"
	case over:
		a.row.Status = "closed"
	}
	if !a.draft {
		for i := range a.threads {
			t.work(a, &a.threads[i], over)
		}
	}
	r := a.row
	t.assignments = append(t.assignments, []any{id, r.Title, r.Description, r.Author, r.Status, r.Due, r.Created, r.Updated})
	for _, th := range a.threads {
		t.assigned = append(t.assigned, []any{int64(len(t.assigned) + 1), id, s.Students[th.student].ID})
	}
	if a.row.Status != "closed" {
		s.open = append(s.open, a)
	}
}

// work is what one student has made of an assignment so far.
func (t *term) work(a *assignment, th *thread, over bool) {
	s := t.school
	begun, handedIn, graded := 60, 60, 40 // per cent while it is open
	if over {
		begun, handedIn, graded = 96, 97, 92
	}
	if s.rand.IntN(100) >= begun {
		return
	}
	// A share of the time, because Int64N would now and then draw twice, depending on
	// the clock, and the same seed would no longer give the same term.
	since := float64(t.now.Sub(a.row.Created))
	at := a.row.Created.Add(time.Duration(s.rand.Float64() * since)).Truncate(time.Millisecond)
	th.row = submissionRow{
		ID:         int64(len(t.submissions) + 1),
		Assignment: a.id,
		Student:    s.Students[th.student].ID,
		Content:    s.rand.Essay(),
		Status:     "draft",
		Updated:    at,
	}
	if s.rand.IntN(100) < handedIn {
		th.row.Status, th.row.Submitted = "submitted", &at
		if s.rand.IntN(100) < graded {
			s.mark(&th.row)
		}
	}
	r := th.row
	t.submissions = append(t.submissions, []any{r.ID, r.Assignment, r.Student, r.Content, r.Status, r.Submitted, r.Grade, r.Feedback, r.Updated})
}

func (t *term) write(ctx context.Context, tx pgx.Tx) error {
	s := t.school
	var users, profiles, tokens, sessions [][]any
	joined := t.now.AddDate(-1, 0, 0)
	for _, group := range [][]Person{s.Admins, s.Teachers, s.Tutors, s.Students} {
		for i, p := range group {
			var password *string // some came by single sign-on and have none
			if i%7 != 6 {
				hash := "pbkdf2_sha256$1000000$" + s.rand.Hex(22) + "$" + s.rand.Hex(44)
				password = &hash
			}
			admin := p.Role == "admin"
			users = append(users, []any{p.ID, password, admin, p.Email, p.FirstName, p.LastName, p.Role, admin, true, joined})
			if p.Role != "student" {
				tokens = append(tokens, []any{p.Token, joined, p.ID})
			}
		}
	}
	for class, students := range s.classes {
		for _, i := range students {
			profiles = append(profiles, []any{int64(len(profiles) + 1), className(class), s.Students[i].ID, s.tutorOf(i)})
		}
	}
	for range len(s.Students)/10 + 1 {
		key := s.rand.Hex(32)
		s.sessions = append(s.sessions, key)
		sessions = append(sessions, []any{key, s.rand.Hex(200), t.now.AddDate(0, 0, 14)})
	}
	for _, table := range []struct {
		name    string
		columns string
		rows    [][]any
	}{
		{"accounts_user", "id password is_superuser email first_name last_name role is_staff is_active date_joined", users},
		{"accounts_studentprofile", "id grade user_id tutor_id", profiles},
		{"assignments_assignment", "id title description author_id status due_date created_at updated_at", t.assignments},
		{"assignments_assignment_assigned_to", "id assignment_id user_id", t.assigned},
		{"assignments_assignmentsubmission", "id assignment_id student_id content status submitted_at grade feedback updated_at", t.submissions},
		{"authtoken_token", "key created user_id", tokens},
		{"django_session", "session_key session_data expire_date", sessions},
	} {
		if err := Load(ctx, tx, table.name, strings.Fields(table.columns), table.rows); err != nil {
			return fmt.Errorf("%s: %w", table.name, err)
		}
	}
	return nil
}

// Load copies rows into a table; where their first column is an id, counted from 1, it moves
// the sequence of the ids behind them.
func Load(ctx context.Context, tx pgx.Tx, table string, columns []string, rows [][]any) error {
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromRows(rows)); err != nil {
		return err
	}
	if columns[0] != "id" || len(rows) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, "SELECT setval(pg_get_serial_sequence($1, 'id'), $2)", table, len(rows))
	return err
}

// newAssignment makes an assignment of some teacher for some class.
func (s *School) newAssignment(created time.Time) *assignment {
	a := &assignment{row: assignmentRow{
		Title:       s.rand.Title(),
		Description: s.rand.Prose(10 + s.rand.IntN(60)),
		Author:      s.Teachers[s.rand.IntN(len(s.Teachers))].ID,
		Status:      "published",
		Created:     created,
		Updated:     created,
	}}
	if s.rand.IntN(20) == 0 {
		a.row.Description = s.rand.Prose(4000) // PostgreSQL stores it out of line
	}
	if s.rand.IntN(10) > 0 { // one in ten has no date
		due := created.AddDate(0, 0, 7+s.rand.IntN(14))
		a.row.Due = &due
	}
	for _, student := range s.classes[s.rand.IntN(len(s.classes))] {
		a.threads = append(a.threads, thread{student: student})
	}
	return a
}

// mark grades a submission. Nought is a grade.
func (s *School) mark(r *submissionRow) {
	grade := 0
	if s.rand.IntN(20) > 0 {
		grade = 35 + s.rand.IntN(66)
	}
	r.Grade, r.Status, r.Feedback = &grade, "graded", s.rand.Prose(5+s.rand.IntN(15))
	if s.rand.IntN(8) == 0 {
		r.Status = "returned"
	}
}
