package canvas

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// weeks is how long the term has been going on.
const weeks = 12

// coursesOfStudent is how many courses a student takes, at most.
const coursesOfStudent = 3

// Populate fills the tables that Create made with a term of work: courses in all states,
// assignments, what was handed in, graded, excused and is still hidden. All of it is one
// transaction.
func Populate(ctx context.Context, conn *pgx.Conn, size school.Size, seed uint64) (*School, error) {
	if err := size.Check(); err != nil {
		return nil, err
	}
	s := &School{random: school.NewRandom(seed), courses: int64(size.Teachers), target: max(size.Assignments/4, size.Teachers)}
	s.enrol(size)
	t := &term{school: s, now: now(), members: map[int64][]int64{}}
	t.teach()
	for i := range size.Assignments {
		t.assign(int64(i+1), size.Assignments)
	}
	if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return t.write(ctx, tx) }); err != nil {
		return nil, fmt.Errorf("populate Canvas: %w", err)
	}
	return s, nil
}

// term collects the rows of the term so far, in the order of COPY.
type term struct {
	school                                                                    *School
	now                                                                       time.Time
	members                                                                   map[int64][]int64 // the students of each course
	courses, sections, associations, enrollments, assignments, subs, versions [][]any
}

// begun is when the term began.
func (t *term) begun() time.Time { return t.now.AddDate(0, 0, -7*weeks).Truncate(time.Second) }

// account is the sub-account of a course.
func account(course int64) int64 { return lowerSchool + course%2 }

// sectionOf is the id of a course's section: each has two.
func sectionOf(course int64, n int) int64 { return 2*course - 1 + int64(n%2) }

// teach makes the courses and says who is what in them: one course for each teacher, one
// that is still being prepared, and one of last year.
func (t *term) teach() {
	s, at := t.school, t.begun()
	for id := int64(1); id <= s.courses+2; id++ {
		state := "available"
		switch id {
		case s.courses + 1:
			state = "claimed"
		case s.courses + 2:
			state = "completed"
		}
		t.courses = append(t.courses, []any{id, fmt.Sprintf("Course %d", id), account(id), state, s.random.Hex(40), at, at, fmt.Sprintf("C%d", id), rootAccount, int64(1)})
		for n := range 2 {
			section := sectionOf(id, n)
			t.sections = append(t.sections, []any{section, id, rootAccount, fmt.Sprintf("Section %d", n+1), n == 0, at, at})
		}
		for depth, a := range []int64{account(id), rootAccount} {
			for _, section := range []any{nil, sectionOf(id, 0), sectionOf(id, 1)} {
				t.associations = append(t.associations, []any{int64(len(t.associations) + 1), id, a, depth, at, at, section, rootAccount})
			}
		}
		teacher := s.Teachers[(id-1)%int64(len(s.Teachers))]
		t.enrollment(teacher.ID, id, 0, "TeacherEnrollment", teacherRole, "active", false)
	}
	for i, p := range s.Tutors { // in one course for one section, in another for all
		first := 1 + int64(i)%s.courses
		t.enrollment(p.ID, first, i, "TaEnrollment", assistantRole, "active", true)
		if other := 1 + int64(i+1)%s.courses; other != first {
			t.enrollment(p.ID, other, i, "TaEnrollment", assistantRole, "active", false)
		}
	}
	for i, p := range s.Students {
		for n := range min(coursesOfStudent, s.courses) {
			course := 1 + (int64(i)+n*7)%s.courses
			state := "active"
			switch {
			case i%40 == 17 && n == 0:
				state = "invited"
			case i%40 == 23:
				state = "inactive"
			}
			if t.enrollment(p.ID, course, i/2, "StudentEnrollment", studentRole, state, false) {
				t.members[course] = append(t.members[course], p.ID)
			}
		}
		if i%3 == 0 {
			t.enrollment(p.ID, s.courses+2, i, "StudentEnrollment", studentRole, "completed", false)
			t.members[s.courses+2] = append(t.members[s.courses+2], p.ID)
		}
	}
}

// enrollment reports whether there was none yet.
func (t *term) enrollment(user, course int64, section int, kind string, role int64, state string, limited bool) bool {
	for _, e := range t.enrollments[max(0, len(t.enrollments)-coursesOfStudent):] {
		if e[1] == user && e[2] == course {
			return false
		}
	}
	at := t.begun()
	t.enrollments = append(t.enrollments, []any{int64(len(t.enrollments) + 1), user, course, kind, t.school.random.Hex(40), state, at, at, sectionOf(course, section), rootAccount, limited, role})
	return true
}

// assign makes one assignment, the n-th of all, with what its course has done.
func (t *term) assign(id int64, all int) {
	s := t.school
	length := weeks * 7 * 24 * time.Hour
	created := t.now.Add(-length + time.Duration(float64(length)*float64(id)/float64(all+1))).Truncate(time.Second)
	course := 1 + (id-1)%s.courses
	switch {
	case id%17 == 0:
		course = s.courses + 1
	case id%19 == 0:
		course = s.courses + 2
	}
	due := created.AddDate(0, 0, 7+s.random.IntN(14))
	over := due.Before(t.now.AddDate(0, 0, -3)) || course > s.courses
	state, lock := "published", any(nil)
	switch n := s.random.IntN(25); {
	case n == 0:
		state = "unpublished"
	case n == 1 && over:
		state = "deleted"
	case over:
		lock = due.AddDate(0, 0, 2)
	case n < 7:
		lock = t.now.AddDate(0, 2, 0).Truncate(time.Second)
	}
	kind := "online_text_entry,online_upload"
	if id%5 == 0 {
		kind = "online_quiz"
	}
	description := "<p>" + s.random.Prose(10+s.random.IntN(60)) + "</p>"
	if s.random.IntN(20) == 0 {
		description = s.random.Prose(4000) // PostgreSQL stores it out of line
	}
	t.assignments = append(t.assignments, []any{id, s.random.Title(), description, due, lock, 100.0, "points", kind, state, course, "Course", created, created, rootAccount})
	if state == "unpublished" || course == s.courses+1 {
		return
	}
	for _, student := range t.members[course] {
		t.work(id, course, student, kind, state, due, created, over)
	}
}

// work is what one student has made of an assignment so far.
func (t *term) work(assignment, course, student int64, kind, of string, due, created time.Time, over bool) {
	s := t.school
	r := map[string]any{
		"id": int64(len(t.subs) + 1), "assignment_id": assignment, "user_id": student, "course_id": course, "root_account_id": rootAccount,
		"workflow_state": "unsubmitted", "created_at": created, "updated_at": created, "cached_due_date": due, "anonymous_id": fmt.Sprintf("%05x", student*7919%(1<<20)), "cached_quiz_lti": false, "redo_request": false,
	}
	handedIn, graded := 60, 40
	if over {
		handedIn, graded = 96, 92
	}
	at := created.Add(time.Duration(s.random.Float64() * float64(t.now.Sub(created)))).Truncate(time.Millisecond)
	draw, essay, score := [3]int{s.random.IntN(100), s.random.IntN(100), s.random.IntN(100)}, s.random.Essay(), s.score()
	if draw[0] < handedIn {
		r["workflow_state"], r["submission_type"], r["submitted_at"], r["body"], r["attempt"], r["updated_at"] = "submitted", strings.SplitN(kind, ",", 2)[0], at, essay, 1, at
		if draw[2]%20 == 0 {
			r["turnitin_data"] = s.random.Prose(2000)
		}
	}
	switch {
	case draw[2] == 7:
		r["workflow_state"], r["excused"], r["graded_at"], r["grader_id"], r["posted_at"] = "graded", true, at, s.Teachers[(course-1)%int64(len(s.Teachers))].ID, at
	case draw[0] < handedIn && draw[1] < graded:
		r["workflow_state"], r["score"], r["grade"], r["published_score"], r["published_grade"], r["graded_at"] = "graded", score, fmt.Sprint(score), score, fmt.Sprint(score), at
		r["grader_id"], r["grade_matches_current_submission"] = s.Teachers[(course-1)%int64(len(s.Teachers))].ID, true
		if kind == "online_quiz" {
			r["grader_id"] = -assignment
		}
		if !manual(assignment) || over {
			r["posted_at"] = at
		}
	}
	if of == "deleted" {
		r["workflow_state"] = "deleted"
	}
	row := make([]any, 0, 24)
	for _, column := range strings.Fields(submissionColumns) {
		row = append(row, r[column])
	}
	t.subs = append(t.subs, row)
	if r["submitted_at"] != nil {
		t.versions = append(t.versions, []any{int64(len(t.versions) + 1), r["id"], "Submission", 1, "---\nbody: " + essay, at})
	}
}

// manual reports whether grades of an assignment stay hidden until they are posted.
func manual(assignment int64) bool { return assignment%3 == 0 }

// score is a grade. Nought is one, and so are halves.
func (s *School) score() float64 {
	if s.random.IntN(20) == 0 {
		return 0
	}
	return float64(70+s.random.IntN(131)) / 2
}
