package projection_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// lms is a database in memory: the rows, and the changes that the log would carry for
// what a transaction does to them. It knows nothing of how the projection works; what it
// expects of it is computed from two states of the rows, as protocol.md and profiles.md
// say it (see rights_test.go for who may see what).
type lms struct {
	rows
	changes []cdc.Change // of the transaction at hand
}

type rows struct {
	school      school
	users       map[int]user
	profiles    map[int]studentProfile
	courses     map[int]course
	members     map[int]member
	staff       map[int]staff
	assignments map[int]assignment
	given       map[int]pair
	submissions map[int]submission
	campus      // of a school that says it through lookups
}

type user struct {
	email, first, last, role string
	active                   bool
}
type (
	studentProfile struct{ user, tutor int } // tutor 0: none
	assignment     struct {
		title, description, status string
		author, course             int
		due                        string // "": none
		whole, anonymous           bool
		created                    bool // it has been told
	}
	course struct {
		active bool
		path   string // of contexts, like /1/3
	}
	member struct {
		user, course, section int // section 0: none
		kind                  string
		limited, ended        bool
		until                 string // "": for ever
	}
	staff struct{ users string }
)
type pair struct{ assignment, student int }
type submission struct {
	assignment, student int
	submittedAt         string // "": not handed in
	grade               string // "": none
	posted              bool   // the student may see the grade
	team, attempt       int    // team 0: the student's own
}

const (
	oidBool        = 16
	oidInt8        = 20
	oidText        = 25
	oidInt4        = 23
	oidTimestampTZ = 1184
)

func table(oid uint32, name string, columns ...cdc.Column) *cdc.Table {
	columns[0].Key = true
	return &cdc.Table{OID: oid, Schema: "public", Name: name, Identity: cdc.IdentityDefault, Columns: columns}
}

func column(name string, typ uint32) cdc.Column { return cdc.Column{Name: name, Type: typ} }

type tables struct {
	users, profiles, courses, members, staff, assignments, given, submissions *cdc.Table
	campusTables
}

func newTables() tables {
	return tables{
		users: table(101, "accounts_user", column("id", oidInt8), column("email", oidText),
			column("first_name", oidText), column("last_name", oidText), column("role", oidText), column("is_active", oidBool)),
		profiles: table(102, "accounts_studentprofile", column("id", oidInt8), column("user_id", oidInt8), column("tutor_id", oidInt8)),
		assignments: table(103, "assignments_assignment", column("id", oidInt8), column("title", oidText),
			column("description", oidText), column("author_id", oidInt8), column("status", oidText), column("due_date", oidTimestampTZ), column("course_id", oidInt8),
			column("whole", oidBool), column("anonymous", oidBool)),
		given: table(104, "assignments_assignment_assigned_to", column("id", oidInt8), column("assignment_id", oidInt8), column("user_id", oidInt8)),
		submissions: table(105, "assignments_assignmentsubmission", column("id", oidInt8), column("assignment_id", oidInt8),
			column("student_id", oidInt8), column("submitted_at", oidTimestampTZ), column("grade", oidInt4), column("posted", oidBool),
			column("team_id", oidInt8), column("attempt", oidInt4)),
		courses: table(106, "courses", column("id", oidInt8), column("active", oidBool), column("path", oidText)),
		members: table(107, "enrolments", column("id", oidInt8), column("user_id", oidInt8), column("course_id", oidInt8),
			column("section_id", oidInt8), column("kind", oidText), column("limited", oidBool), column("ended", oidBool),
			column("until", oidTimestampTZ)),
		staff:        table(108, "staff", column("id", oidInt8), column("users", oidText)),
		campusTables: newCampusTables(),
	}
}

func newLMS() *lms {
	return &lms{rows: rows{school: schools()[0],
		users: map[int]user{}, profiles: map[int]studentProfile{}, assignments: map[int]assignment{},
		courses: map[int]course{}, members: map[int]member{}, staff: map[int]staff{},
		given: map[int]pair{}, submissions: map[int]submission{}, campus: newCampus(),
	}}
}

func (r rows) clone() rows {
	return rows{
		r.school, maps.Clone(r.users), maps.Clone(r.profiles), maps.Clone(r.courses), maps.Clone(r.members), maps.Clone(r.staff),
		maps.Clone(r.assignments), maps.Clone(r.given), maps.Clone(r.submissions), r.campus.clone(),
	}
}

// text is a value; the empty string is NULL.
func text(s string) cdc.Value {
	if s == "" {
		return cdc.Value{Kind: cdc.Null}
	}
	return cdc.Value{Kind: cdc.Text, Data: []byte(s)}
}

func number(n int) cdc.Value {
	return cdc.Value{Kind: cdc.Text, Data: strconv.AppendInt(nil, int64(n), 10)}
}

func reference(n int) cdc.Value {
	if n == 0 {
		return cdc.Value{Kind: cdc.Null}
	}
	return number(n)
}

func boolean(b bool) cdc.Value {
	if b {
		return text("t")
	}
	return text("f")
}

func (u user) values(id int) []cdc.Value {
	return []cdc.Value{number(id), text(u.email), text(u.first), text(u.last), text(u.role), boolean(u.active)}
}

func (p studentProfile) values(id int) []cdc.Value {
	return []cdc.Value{number(id), number(p.user), reference(p.tutor)}
}

func (a assignment) values(id int) []cdc.Value {
	return []cdc.Value{number(id), text(a.title), text(a.description), reference(a.author), text(a.status), text(a.due), reference(a.course),
		boolean(a.whole), boolean(a.anonymous)}
}

func (c course) values(id int) []cdc.Value {
	return []cdc.Value{number(id), boolean(c.active), text(c.path)}
}

func (m member) values(id int) []cdc.Value {
	return []cdc.Value{
		number(id), number(m.user), number(m.course), reference(m.section), text(m.kind), boolean(m.limited), boolean(m.ended), text(m.until),
	}
}

func (s staff) values(id int) []cdc.Value { return []cdc.Value{number(id), text(s.users)} }

func (p pair) values(id int) []cdc.Value {
	return []cdc.Value{number(id), number(p.assignment), number(p.student)}
}

func (s submission) values(id int) []cdc.Value {
	return []cdc.Value{number(id), number(s.assignment), reference(s.student), text(s.submittedAt), text(s.grade), boolean(s.posted),
		reference(s.team), number(s.attempt)}
}

// set inserts or updates a row and notes the change.
func set[T interface{ values(id int) []cdc.Value }](l *lms, t *cdc.Table, rows map[int]T, id int, row T) {
	op := cdc.Insert
	if _, ok := rows[id]; ok {
		op = cdc.Update
	}
	rows[id] = row
	l.changes = append(l.changes, cdc.Change{Op: op, Table: t, New: row.values(id)})
}

// remove deletes a row: the log carries the key alone.
func remove[T any](l *lms, t *cdc.Table, rows map[int]T, id int) {
	if _, ok := rows[id]; !ok {
		return
	}
	delete(rows, id)
	old := make([]cdc.Value, len(t.Columns))
	for i := range old {
		old[i].Kind = cdc.Null
	}
	old[0] = number(id)
	l.changes = append(l.changes, cdc.Change{Op: cdc.Delete, Table: t, Old: old})
}

// truncate removes all rows at once.
func truncate[T any](l *lms, t *cdc.Table, rows map[int]T) {
	clear(rows)
	l.changes = append(l.changes, cdc.Change{Op: cdc.Truncate, Table: t})
}

// snapshot yields all rows, table by table.
func (l *lms) snapshot(t tables, at cdc.LSN) *cdc.Snapshot {
	return &cdc.Snapshot{At: at, Time: clock(at), Rows: func(yield func(cdc.Row, error) bool) {
		_ = l.lookups(t, yield) && each(t.profiles, l.profiles, yield) && each(t.users, l.users, yield) &&
			(!l.school.courses || (l.school.lookups || each(t.courses, l.courses, yield)) &&
				each(t.members, l.members, yield) && each(t.staff, l.staff, yield)) &&
			(l.school.lookups || each(t.assignments, l.assignments, yield)) && each(t.given, l.given, yield) &&
			(!l.school.lookups || each(t.grades, l.grades, yield)) && each(t.submissions, l.submissions, yield)
	}}
}

func each[T interface{ values(id int) []cdc.Value }](t *cdc.Table, rows map[int]T, yield func(cdc.Row, error) bool) bool {
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		if !yield(cdc.Row{Table: t, Values: rows[id].values(id)}, nil) {
			return false
		}
	}
	return true
}

// expected is what protocol.md says of two states of the database. Events are
// written as lines, so that a difference can be read.
func (before rows) expected(after rows) (events []string) {
	say := func(course int, to []int, admins bool, format string, args ...any) {
		if after.isMuted(course) {
			return
		}
		slices.Sort(to)
		line := fmt.Sprintf(format, args...) + " to " + fmt.Sprint(slices.Compact(to))
		if !admins {
			line += " alone"
		}
		events = append(events, line)
	}
	for id, a := range after.assignments {
		if was, ok := before.assignments[id]; after.isCreated(a) && !(ok && before.isCreated(was)) {
			say(a.course, after.concerned(a, after.givenTo(id)), true, "assignment %d %q due %q", id, a.title, a.due)
		}
	}
	for id, s := range after.submissions {
		was := before.ours(id)
		if s != after.ours(id) {
			continue
		}
		course, by := after.assignments[s.assignment].course, after.by(s)
		if s.submittedAt != "" && s.submittedAt != was.submittedAt {
			say(course, after.workers(s), true, "submission %d of %d by %s", id, s.assignment, by)
		}
		if after.school.lookups {
			continue // grades have rows of their own
		}
		student := after.ownWork(s)
		switch {
		case s.grade == "":
		case s.grade != was.grade:
			say(course, append(after.workers(s), student...), true, "grade %d of %d by %s: %s", id, s.assignment, by, s.grade)
		case !was.posted && s.posted && after.school.students && after.school.courses:
			say(course, student, false, "grade %d of %d by %s: %s", id, s.assignment, by, s.grade)
		}
	}
	before.expectedGrades(after, say)
	for id, a := range before.assignments {
		now, ok := after.assignments[id]
		switch {
		case !before.open(id, a) || after.open(id, now):
		case !ok: // who had it by the rows that go with it, as everybody stands now
			say(a.course, after.concerned(a, append(before.givenTo(id), after.givenTo(id)...)), true, "assignment_closed %d", id)
		default:
			say(now.course, after.concerned(now, after.givenTo(id)), true, "assignment_closed %d", id)
		}
	}
	slices.Sort(events)
	return events
}

// counts is the definition of the four counts for one person.
func (r rows) counts(id int) (c cdc.Counts) {
	role := r.role(id)
	students := map[int]bool{}
	for n, s := range r.submissions {
		if s != r.ours(n) || !r.counted(id, role, s) {
			continue
		}
		if s.student != 0 && s.team == 0 {
			students[s.student] = true
		}
		switch {
		case s.submittedAt == "":
			c.PendingSubmissions++
		case !r.isGraded(s, role):
			c.UngradedSubmissions++
		}
	}
	for n, a := range r.assignments {
		if r.isThere(id, role, n, a) {
			c.TotalAssignments++
		}
	}
	c.ActiveStudents = int64(len(students))
	return c
}

// clock is the server's when its log is at a position.
func clock(at cdc.LSN) time.Time {
	return time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC).Add(time.Duration(at) * time.Second)
}

// tx is the transaction at hand, ending at commit+1; the next one begins.
func (l *lms) tx(commit cdc.LSN) *cdc.Tx {
	changes := l.changes
	l.changes = nil
	tx := &cdc.Tx{Commit: commit, CommitTime: clock(commit)}
	tx.Changes = func(yield func(*cdc.Change, error) bool) {
		for i := range changes {
			if !yield(&changes[i], nil) {
				return
			}
		}
		tx.End = commit + 1
	}
	return tx
}
