package projection_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/schoolbell/schoolbell/cdc"
)

// campus is what an LMS has that says much of it through lookups: whether an assignment is
// shown stands in an activity of the right kind; members belong to contexts, under which
// courses lie, until a moment; what they are there is their role's; their sections, and
// who is in which team, stand in tables of their own, and so do grades.
type campus struct {
	now        time.Time // the log's clock
	kinds      map[int]name
	activities map[int]activity
	roles      map[int]name
	seats      map[int]seat
	teams      map[int]teamRow
	mates      map[int]pair // assignment is the team here
	grades     map[int]gradeRow
}

type (
	name     struct{ text string }
	activity struct {
		assignment, kind, position int // position 0: none
		visible                    bool
	}
	seat     struct{ user, course, section int }
	teamRow  struct{ name string }
	gradeRow struct {
		assignment, student, attempt int
		grade                        string
		posted                       bool
	}
)

const campusProfile = `
profile: campus
` + people + `}
lookup:
  kind: {from: kinds}
  activity: {from: activities, key: assignment_id, where: {kind_id -> kind.name: assign}, first: position}
  under: {from: courses, key: path, split: /, many: true}
  role: {from: roles}
  seat: {from: seats, key: [user_id, course_id], many: true}
  mate: {from: mates, key: user_id, many: true}
assignment:
  from: assignments_assignment
  title: title
  description: description
  teacher: author_id
  course: course_id
  published: {id -> activity.visible: true}
  closed: {status: closed}
  due: due_date
  by_section: {whole: false}
  anonymous: {anonymous: true}
course: {from: courses, active: {active: true}}
submission:
  from: assignments_assignmentsubmission
  where: {assignment_id -> assignments_assignment.id: present}
  assignment: assignment_id
  student: student_id
  group: team_id
  group_name: team_id -> teams.name
  attempt: attempt
  submitted: {submitted_at: present}
  again: submitted_at
grade:
  from: grades
  assignment: assignment_id
  student: student_id
  group: student_id -> mate.team_id
  attempt: attempt
  graded: {grade: {min: 0}}
  again: grade
  score: grade
  hidden: {posted: false}
member:
  - from: enrolments
    where: {ended: false, until: {not: past}}
    user: user_id
    course: course_id -> under.id
    section: user_id + (course_id -> under.id) -> seat.section_id
    own_section_only: {limited: true}
    teacher: {kind -> role.name: teacher}
    tutor: {kind -> role.name: ta}
    student: {kind -> role.name: student}
admin: {from: staff, user: users, split: ","}
auth: {token: {from: authtoken_token, key: key, user: user_id}}
`

type campusTables struct {
	kinds, activities, roles, seats, teams, mates, grades *cdc.Table
}

func newCampusTables() campusTables {
	id := column("id", oidInt8)
	return campusTables{
		kinds: table(201, "kinds", id, column("name", oidText)),
		activities: table(202, "activities", id, column("assignment_id", oidInt8), column("kind_id", oidInt8),
			column("position", oidInt4), column("visible", oidBool)),
		roles:  table(203, "roles", column("id", oidText), column("name", oidText)),
		seats:  table(204, "seats", id, column("user_id", oidInt8), column("course_id", oidInt8), column("section_id", oidInt8)),
		teams:  table(205, "teams", id, column("name", oidText)),
		mates:  table(206, "mates", id, column("team_id", oidInt8), column("user_id", oidInt8)),
		grades: table(207, "grades", id, column("assignment_id", oidInt8), column("student_id", oidInt8), column("attempt", oidInt4), column("grade", oidInt4), column("posted", oidBool)),
	}
}

func newCampus() campus {
	return campus{
		clock(0), map[int]name{}, map[int]activity{}, map[int]name{}, map[int]seat{}, map[int]teamRow{}, map[int]pair{}, map[int]gradeRow{},
	}
}

func (c campus) clone() campus {
	return campus{
		c.now, maps.Clone(c.kinds), maps.Clone(c.activities), maps.Clone(c.roles), maps.Clone(c.seats),
		maps.Clone(c.teams), maps.Clone(c.mates), maps.Clone(c.grades),
	}
}

func (n name) values(id int) []cdc.Value { return []cdc.Value{number(id), text(n.text)} }

func (a activity) values(id int) []cdc.Value {
	return []cdc.Value{number(id), number(a.assignment), number(a.kind), reference(a.position), boolean(a.visible)}
}

func (s seat) values(id int) []cdc.Value {
	return []cdc.Value{number(id), number(s.user), number(s.course), number(s.section)}
}

func (t teamRow) values(id int) []cdc.Value { return []cdc.Value{number(id), text(t.name)} }

func (g gradeRow) values(id int) []cdc.Value {
	return []cdc.Value{number(id), number(g.assignment), number(g.student), number(g.attempt), text(g.grade), boolean(g.posted)}
}

// roleRow is a role, whose key is a word.
type roleRow struct{ name }

var roleKeys = [...]string{"", "teacher", "ta", "student"}

func (r roleRow) values(id int) []cdc.Value {
	return []cdc.Value{text(roleKeys[id]), text(r.text)}
}

// lookups yields the tables that are read first, some of which are sections as well.
func (l *lms) lookups(t tables, yield func(cdc.Row, error) bool) bool {
	if !l.school.lookups {
		return true
	}
	roles := map[int]roleRow{}
	for id, r := range l.roles {
		roles[id] = roleRow{r}
	}
	return each(t.kinds, l.kinds, yield) && each(t.activities, l.activities, yield) && each(t.courses, l.courses, yield) &&
		each(t.roles, roles, yield) && each(t.seats, l.seats, yield) && each(t.mates, l.mates, yield) &&
		each(t.assignments, l.assignments, yield) && each(t.teams, l.teams, yield)
}

// isShown reports whether an assignment is there for everybody.
func (r rows) isShown(id int) bool {
	if !r.school.lookups {
		return true
	}
	type candidate struct{ position, id int }
	var found []candidate
	for n, a := range r.activities {
		if a.assignment == id && r.kinds[a.kind].text == "assign" {
			position := a.position
			if position == 0 {
				position = 1 << 30
			}
			found = append(found, candidate{position, n})
		}
	}
	if len(found) == 0 {
		return false
	}
	first := slices.MinFunc(found, func(a, b candidate) int { return cmp.Or(a.position-b.position, a.id-b.id) })
	return r.activities[first.id].visible
}

// settle notes what has been told by the end of a transaction.
func (l *lms) settle(before rows, now time.Time) {
	l.now = now
	for id, a := range l.assignments {
		a.created = before.assignments[id].created || l.isShown(id)
		l.assignments[id] = a
	}
}

// isCreated reports whether an assignment has been told.
func (r rows) isCreated(a assignment) bool { return a.created || !r.school.lookups }

// ours is a submission, if it is one that counts.
func (r rows) ours(id int) submission {
	s := r.submissions[id]
	if _, ok := r.assignments[s.assignment]; !ok && r.school.lookups {
		return submission{}
	}
	return s
}

// open reports whether an assignment may still close.
func (r rows) open(id int, a assignment) bool {
	_, there := r.assignments[id]
	return there && r.isCreated(a) && r.isShown(id) && a.status != "closed"
}

// lookedUp are the memberships that the members' rows make.
func (r rows) lookedUp() (list []member) {
	for _, m := range r.members {
		until, err := time.Parse("2006-01-02 15:04:05-07", m.until)
		if m.ended || err == nil && until.Compare(r.now) <= 0 {
			continue
		}
		m.kind = r.roles[slices.Index(roleKeys[:], m.kind)].text
		for id, c := range r.courses {
			if !slices.Contains(strings.Split(c.path, "/"), strconv.Itoa(m.course)) {
				continue
			}
			one, seated := m, false
			one.course, one.section = id, 0
			for _, s := range r.seats {
				if s.user == m.user && s.course == id {
					one.section, seated = s.section, true
					list = append(list, one)
				}
			}
			if !seated {
				list = append(list, one)
			}
		}
	}
	return list
}

// by says whose work it is.
func (r rows) by(s submission) string {
	switch {
	case r.school.lookups && r.assignments[s.assignment].anonymous:
		return `0 ""`
	case s.team != 0:
		return fmt.Sprintf("team %d %q", s.team, r.teams[s.team].name)
	}
	return fmt.Sprintf("%d %q", s.student, r.users[s.student].email)
}

// grades reports whether a grade is one of a submission.
func (r rows) gradesIt(g gradeRow, s submission) bool {
	if g.assignment != s.assignment || g.attempt != s.attempt {
		return false
	}
	if s.team == 0 {
		return g.student == s.student
	}
	for _, m := range r.mates {
		if m.assignment == s.team && m.student == g.student {
			return true
		}
	}
	return false
}

// isGraded reports whether somebody with this role counts a submission as graded.
func (r rows) isGraded(s submission, role string) bool {
	if !r.school.lookups {
		return s.grade != "" && (role != "student" || !r.school.courses || s.posted)
	}
	for _, g := range r.grades {
		if g.grade != "" && r.gradesIt(g, s) && (role != "student" || g.posted) {
			return true
		}
	}
	return false
}

// expectedGrades is expected for grades in a table of their own.
func (before rows) expectedGrades(after rows, say func(course int, to []int, admins bool, format string, args ...any)) {
	for id, g := range after.grades {
		was := before.grades[id]
		if g.grade == "" || g.grade == was.grade && (was.posted || !g.posted || !after.school.students) {
			continue
		}
		own := submission{assignment: g.assignment, student: g.student, posted: g.posted}
		course, by := after.assignments[g.assignment].course, after.by(own)
		to, admins := after.ownWork(own), false
		if g.grade != was.grade {
			to, admins = append(to, after.workers(own)...), true
		}
		say(course, to, admins, "grade %d of %d by %s: %s", after.submissionOf(g), g.assignment, by, g.grade)
	}
}

// submissionOf is the submission that a grade is of: the student's, or their team's.
func (r rows) submissionOf(g gradeRow) int {
	for _, team := range []bool{false, true} {
		for _, id := range slices.Sorted(maps.Keys(r.submissions)) {
			s := r.submissions[id]
			_, there := r.assignments[s.assignment]
			if (s.team != 0) == team && there && r.gradesIt(g, s) {
				return id
			}
		}
	}
	return 0
}

// found makes what little a campus needs for somebody to be something in it.
func (l *lms) found(tabs tables) {
	for id, kind := range roleKeys[1:] {
		setRole(l, tabs, 1+id, kind)
	}
	set(l, tabs.kinds, l.kinds, 1, name{"assign"})
	for id := 1; id <= 2; id++ {
		set(l, tabs.courses, l.courses, id, course{active: true, path: "/" + strconv.Itoa(id)})
		set(l, tabs.activities, l.activities, id, activity{assignment: id, kind: 1, visible: true})
		for n, kind := range roleKeys[1:] {
			set(l, tabs.members, l.members, id*10+n, member{user: 1 + n + id%2, course: id, kind: kind})
		}
	}
}

// campusStep makes one random change of a row that others look up, or of a grade.
func campusStep(t *rapid.T, l *lms, tabs tables, id int) {
	one := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	number := func(name string, most int) int { return rapid.IntRange(1, most).Draw(t, name) }
	removing := rapid.IntRange(0, 5).Draw(t, "delete") == 0
	switch rapid.IntRange(0, 8).Draw(t, "table") {
	case 0:
		id = 1 + id%2
		if removing {
			remove(l, tabs.kinds, l.kinds, id)
			return
		}
		set(l, tabs.kinds, l.kinds, id, name{one("name", "assign", "assign", "quiz")})
	case 1, 2:
		if removing {
			remove(l, tabs.activities, l.activities, id)
			return
		}
		set(l, tabs.activities, l.activities, id, activity{
			assignment: number("assignment", 6), kind: number("kind", 2), position: rapid.IntRange(0, 2).Draw(t, "position"),
			visible: rapid.IntRange(0, 3).Draw(t, "visible") > 0,
		})
	case 3:
		setRole(l, tabs, 1+id%3, one("name", "teacher", "ta", "student"))
	case 4:
		if removing {
			remove(l, tabs.seats, l.seats, id)
			return
		}
		set(l, tabs.seats, l.seats, id, seat{number("user", 6), number("course", 2), number("section", 2)})
	case 5:
		set(l, tabs.teams, l.teams, 1+id%2, teamRow{one("name", "Owls", "Foxes")})
	case 6:
		if removing {
			remove(l, tabs.mates, l.mates, id)
			return
		}
		set(l, tabs.mates, l.mates, id, pair{1 + id%2, number("student", 6)})
	default:
		if removing {
			remove(l, tabs.grades, l.grades, id)
			return
		}
		set(l, tabs.grades, l.grades, id, gradeRow{
			assignment: number("assignment", 6), student: number("student", 6), attempt: rapid.IntRange(0, 1).Draw(t, "attempt"),
			grade: one("grade", "", "0", "78"), posted: rapid.Bool().Draw(t, "posted"),
		})
	}
}

// setRole is set for a row whose key is a word.
func setRole(l *lms, tabs tables, id int, kind string) {
	roles := map[int]roleRow{}
	if r, ok := l.roles[id]; ok {
		roles[id] = roleRow{r}
	}
	set(l, tabs.roles, roles, id, roleRow{name{kind}})
	l.roles[id] = name{kind}
}
