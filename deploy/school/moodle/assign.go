package moodle

import (
	"math/rand/v2"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// assignment is a row of mdl_assign as it is written.
type assignment struct {
	name, intro           string
	due, cutOff           int64
	grade                 int64 // the most there is; below 0: a scale
	drafts, team          int
	anonymous, workflow   int
	reopen                string
	visible, separateMode int // of its course_modules row
}

const (
	assignColumns = "course name intro duedate cutoffdate grade timemodified submissiondrafts teamsubmission " +
		"blindmarking markingworkflow attemptreopenmethod allowsubmissionsfromdate"
	moduleColumns     = "course module instance section added visible visibleold groupmode"
	itemColumns       = "courseid itemname itemtype itemmodule iteminstance itemnumber grademax timecreated timemodified"
	submissionColumns = "assignment userid groupid timecreated timemodified status attemptnumber latest"
	gradeColumns      = "assignment userid timecreated timemodified grader grade attemptnumber"
)

// newAssignment is one of the n-th kind: all there are come in turn.
func newAssignment(r school.Random, n int, from int64) assignment {
	a := assignment{name: r.Title(), intro: "<p>" + r.Prose(10+r.IntN(60)) + "</p>", grade: 100, reopen: "none", visible: 1}
	if r.IntN(20) == 0 {
		a.intro = "<p>" + r.Prose(4000) + "</p>" // PostgreSQL stores it out of line
	}
	if r.IntN(10) > 0 { // one in ten has no date
		a.due = from + int64(7+r.IntN(14))*day
	}
	switch n % 12 {
	case 1, 7:
		a.drafts = 1
	case 2:
		a.team = 1
	case 3:
		a.anonymous = 1
	case 4:
		a.workflow = 1
	case 5:
		a.reopen = "manual"
	case 6:
		a.visible = 0
	case 8:
		a.grade = -1 // by a scale
	case 9:
		a.separateMode = 1
	}
	if a.due > 0 && n%2 == 0 {
		a.cutOff = a.due + 3*day
	}
	return a
}

const day = 24 * 60 * 60

// mark is a grade for it. Nought is one, but not on a scale.
func mark(r *rand.Rand, grade int64) int64 {
	switch {
	case grade < 0:
		return 1 + r.Int64N(5)
	case r.IntN(20) == 0:
		return 0
	}
	return 35 + r.Int64N(66)
}

// assign makes the n-th of all assignments, with what its course has done.
func (t *term) assign(n, all int) {
	s := t.school
	length := int64(weeks * 7 * day)
	created := t.now - length + length*int64(n+1)/int64(all+1)
	c := &s.courses[n%len(s.courses)]
	a := newAssignment(s.rand, n, created)
	id := t.row("mdl_assign", assignColumns, c.id, a.name, a.intro, a.due, a.cutOff, a.grade, created, a.drafts, a.team, a.anonymous, a.workflow, a.reopen, created)
	module := t.row("mdl_course_modules", moduleColumns, c.id, int64(assignModule), id, int64(1), created, a.visible, a.visible, a.separateMode)
	t.context(levelModule, module, c.path)
	item := t.row("mdl_grade_items", itemColumns, c.id, a.name, "mod", "assign", id, int64(0), max(a.grade, 5), created, created)
	if a.visible == 0 {
		return
	}
	w := &work{term: t, course: c, assignment: a, id: id, item: item, created: created}
	if a.team == 1 {
		for i, group := range c.groups {
			w.team(i, group)
		}
		return
	}
	for _, person := range c.students {
		w.do(person, 0, 1)
	}
}

// work is what is made of one assignment.
type work struct {
	*term
	course     *course
	assignment assignment
	id, item   int64
	created    int64
	state      string // of what was done last
	at         int64  // and when
}

// do writes what one student, or one team, has made of it so far.
func (w *work) do(person, group int64, latest int) {
	r := w.school.rand
	over := w.assignment.cutOff > 0 && w.assignment.cutOff < w.now || w.assignment.due > 0 && w.assignment.due < w.now
	begun, handedIn, graded := 60, 60, 40 // per cent while it is open
	if over {
		begun, handedIn, graded = 96, 97, 92
	}
	w.state = ""
	if r.IntN(100) >= begun {
		return
	}
	w.at = w.created + int64(r.Float64()*float64(w.now-w.created))
	w.state = "new"
	if w.assignment.drafts == 1 {
		w.state = "draft"
	}
	if r.IntN(100) < handedIn {
		w.state = "submitted"
	}
	submission := w.row("mdl_assign_submission", submissionColumns, w.id, person, group, w.at, w.at, w.state, int64(0), latest)
	if w.state != "new" {
		w.row("mdl_assignsubmission_onlinetext", "assignment submission onlinetext onlineformat", w.id, submission, r.Essay(), 1)
	}
	if person != 0 && w.state == "submitted" && r.IntN(100) < graded {
		w.mark(person)
	}
}

// mark grades somebody: in the gradebook only what may be seen.
func (w *work) mark(person int64) {
	grade := mark(w.school.rand.Rand, w.assignment.grade)
	w.row("mdl_assign_grades", gradeColumns, w.id, person, w.at, w.at, w.course.teacher, grade, int64(0))
	released := w.assignment.anonymous == 0
	if w.assignment.workflow == 1 {
		state := "readyforrelease"
		if released = w.school.rand.IntN(2) == 0; released {
			state = "released"
		}
		w.row("mdl_assign_user_flags", "userid assignment workflowstate", person, w.id, state)
	}
	var final any
	if released {
		final = grade
	}
	w.row("mdl_grade_grades", "itemid userid usermodified rawgrade finalgrade timecreated timemodified", w.item, person, w.course.teacher, final, final, w.at, w.at)
}

// team writes a team's work: its own row, and one for each member.
func (w *work) team(n int, group int64) {
	r := w.school.rand
	w.do(0, group, 1)
	if w.state == "" {
		return
	}
	graded := w.state == "submitted" && r.IntN(2) == 0
	for i, person := range w.course.students {
		if i%2 != n {
			continue
		}
		w.row("mdl_assign_submission", submissionColumns, w.id, person, int64(0), w.at, w.at, w.state, int64(0), 1)
		if graded {
			w.mark(person)
		}
	}
}
