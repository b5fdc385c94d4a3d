package projection_test

import (
	"slices"
	"strconv"
	"strings"
)

// school is an LMS: how it says who is what.
type school struct {
	name     string
	courses  bool // assignments belong to courses, which have members
	role     bool // people's rows say what they are
	assigned bool // a table says to whom an assignment is given
	students bool // students may connect
	lookups  bool // much stands in other tables; see campus_test.go
	yaml     string
}

const people = `user: {from: accounts_user, first: first_name, last: last_name, email: email, active: {is_active: true}`

const work = `
submission:
  from: assignments_assignmentsubmission
  assignment: assignment_id
  student: student_id
  tutor: student_id -> profile.tutor_id
  submitted: {submitted_at: present}
  again: submitted_at
grade: {graded: {grade: present}, again: grade, score: grade, hidden: {posted: false}}
course: {from: courses, active: {active: true}}
member:
  - from: enrolments
    where: {ended: false}
    user: user_id
    course: course_id
    section: section_id
    own_section_only: {limited: true}
    teacher: {kind: teacher}
    tutor: {kind: ta}
    student: {kind: student}
admin: {from: staff, user: users, split: ","}
lookup: {profile: {from: accounts_studentprofile, key: user_id}}
assignment: {from: assignments_assignment, title: title, description: description, teacher: author_id, course: course_id, closed: {status: closed}, due: due_date}
auth: {token: {from: authtoken_token, key: key, user: user_id}}
`

const assigned = "assigned: {from: assignments_assignment_assigned_to, assignment: assignment_id, student: user_id}\n"

func schools() []school {
	return []school{
		{name: "django", role: true, assigned: true},
		{name: "django with students", role: true, assigned: true, students: true},
		{name: "roles and courses", courses: true, role: true, assigned: true, yaml: "profile: a\n" + people + ", role: role}\n" + work + assigned},
		{name: "courses say it", courses: true, students: true, yaml: "profile: b\n" + people + "}\n" + work},
		{name: "lookups say it", courses: true, students: true, lookups: true, yaml: campusProfile},
		{name: "lookups say it, and roles", courses: true, role: true, lookups: true, yaml: strings.Replace(campusProfile, "user: {", "user: {role: role, ", 1)},
		{name: "courses say it, but not to whom", courses: true, assigned: true, students: true, yaml: "profile: c\n" + people + "}\n" + work + assigned},
	}
}

func (r rows) isMuted(id int) bool {
	c, ok := r.courses[id]
	return r.school.courses && ok && !c.active
}

// role is what somebody is.
func (r rows) role(id int) string {
	if _, ok := r.users[id]; !ok {
		return "none"
	}
	if r.school.courses {
		for _, s := range r.staff {
			if slices.Contains(strings.Fields(strings.ReplaceAll(s.users, ",", " ")), strconv.Itoa(id)) {
				return "admin"
			}
		}
	}
	if r.school.role {
		return r.users[id].role
	}
	is := map[string]bool{}
	for _, m := range r.memberships() {
		is[m.kind] = is[m.kind] || m.user == id
	}
	for _, a := range r.assignments {
		is["teacher"] = is["teacher"] || a.author == id
	}
	for _, p := range r.profiles {
		is["ta"] = is["ta"] || p.tutor == id && !r.school.lookups
	}
	switch {
	case is["teacher"]:
		return "teacher"
	case is["ta"]:
		return "tutor"
	case is["student"]:
		return "student"
	}
	return "none"
}

// may reports whether somebody sees what a teacher, a tutor or a student sees.
func (r rows) may(id int, as string) bool {
	role := r.role(id)
	switch {
	case !r.users[id].active:
		return false
	case r.school.role:
		return role == as
	case as == "student":
		return role != "none"
	}
	return role == "teacher" || role == "tutor" || role == "admin"
}

// memberships are the members that count.
func (r rows) memberships() (list []member) {
	switch {
	case r.school.lookups:
		return r.lookedUp()
	case !r.school.courses:
		return nil
	}
	for _, m := range r.members {
		if !m.ended {
			list = append(list, m)
		}
	}
	return list
}

// sees reports whether somebody is this in the assignment's course and sees the student
// there, or the team.
func (r rows) sees(id int, as string, a assignment, student, team int) bool {
	course := a.course
	is, whole := false, a.whole && r.school.lookups
	var mine, theirs []int
	for _, m := range r.memberships() {
		if m.course != course || course == 0 {
			continue
		}
		if m.user == id && m.kind != "student" {
			is, whole = is || m.kind == as, whole || !m.limited
			mine = append(mine, m.section)
		}
		if m.user == student && m.kind == "student" {
			theirs = append(theirs, m.section)
		}
	}
	if team != 0 {
		theirs = []int{team}
	}
	return is && (whole || slices.ContainsFunc(mine, func(s int) bool { return s != 0 && slices.Contains(theirs, s) }))
}

// isMember reports whether somebody is this in the course.
func (r rows) isMember(id int, as string, course int) bool {
	for _, m := range r.memberships() {
		if m.course == course && course != 0 && m.user == id && m.kind == as {
			return true
		}
	}
	return false
}

func (r rows) tutorOf(student int) int {
	if r.school.lookups {
		return 0
	}
	for _, p := range r.profiles {
		if p.user == student {
			return p.tutor
		}
	}
	return 0
}

func (r rows) givenTo(assignment int) (students []int) {
	for _, g := range r.given {
		if g.assignment == assignment {
			students = append(students, g.student)
		}
	}
	return students
}

// relates reports whether somebody is the teacher, or the tutor, of somebody's work.
func (r rows) relates(id int, as string, s submission) bool {
	a := r.assignments[s.assignment]
	return as == "teacher" && a.author == id || as == "ta" && s.student != 0 && r.tutorOf(s.student) == id || r.sees(id, as, a, s.student, s.team)
}

// workers are the teachers and tutors who hear of somebody's work.
func (r rows) workers(s submission) (people []int) {
	for id := range r.users {
		if r.may(id, "teacher") && r.relates(id, "teacher", s) || r.may(id, "tutor") && r.relates(id, "ta", s) {
			people = append(people, id)
		}
	}
	return people
}

// ownWork is the student, where they hear of their own grade.
func (r rows) ownWork(s submission) []int {
	if r.school.students && s.student != 0 && r.may(s.student, "student") && (!r.school.courses || s.posted) {
		return []int{s.student}
	}
	return nil
}

// has reports whether somebody sees an assignment as this.
func (r rows) has(id int, as string, a assignment, givenTo []int) bool {
	switch {
	case as == "teacher":
		return a.author == id || r.isMember(id, as, a.course)
	case !r.school.assigned:
		return r.isMember(id, as, a.course)
	case as == "student":
		return slices.Contains(givenTo, id)
	}
	return slices.ContainsFunc(givenTo, func(student int) bool {
		return r.tutorOf(student) == id || r.sees(id, as, a, student, 0)
	})
}

// concerned are those who hear of an assignment.
func (r rows) concerned(a assignment, givenTo []int) (people []int) {
	for id := range r.users {
		if r.may(id, "teacher") && r.has(id, "teacher", a, givenTo) ||
			r.may(id, "tutor") && r.has(id, "ta", a, givenTo) ||
			r.school.students && r.may(id, "student") && r.has(id, "student", a, givenTo) {
			people = append(people, id)
		}
	}
	return people
}

// counted reports whether somebody with this role counts somebody's work.
func (r rows) counted(id int, role string, s submission) bool {
	switch role {
	case "admin":
		return true
	case "student":
		return r.school.students && s.student == id
	case "none":
		return false
	}
	return (!r.school.role || role == "teacher") && r.relates(id, "teacher", s) ||
		(!r.school.role || role == "tutor") && r.relates(id, "ta", s)
}

// isThere reports whether somebody with this role counts an assignment.
func (r rows) isThere(id int, role string, n int, a assignment) bool {
	switch role {
	case "admin":
		return true
	case "student":
		return r.school.students && r.isShown(n) && r.has(id, "student", a, r.givenTo(n))
	case "none":
		return false
	}
	return (!r.school.role || role == "teacher") && r.has(id, "teacher", a, r.givenTo(n)) ||
		(!r.school.role || role == "tutor") && r.has(id, "ta", a, r.givenTo(n))
}
