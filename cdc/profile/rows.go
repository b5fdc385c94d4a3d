package profile

import (
	"slices"
	"time"
	"unicode/utf8"

	"github.com/schoolbell/schoolbell/cdc"
)

// UserRow reads the rows of people.
type UserRow struct {
	identity                 identity
	where, active            clauses
	first, last, email, role column
	roles                    map[string]cdc.Role
}

// Read reads a person, given what was known of them before. Their role is NoRole
// where it follows from memberships. It answers false when the row is nobody of ours.
// Of a derived section the ID is that of was.
func (u *UserRow) Read(row []cdc.Value, was cdc.Person) (cdc.Person, bool) {
	if !u.where.eval(row).or(!was.ID.IsZero()) {
		return cdc.Person{}, false
	}
	id := was.ID
	if len(u.identity) > 0 {
		id = u.identity.id(row)
	}
	return cdc.Person{
		ID:        id,
		Email:     u.email.text(row, was.Email),
		FirstName: u.first.text(row, was.FirstName),
		LastName:  u.last.text(row, was.LastName),
		Role:      u.readRole(row, was.Role),
		Active:    u.active.eval(row).or(was.Active),
	}, true
}

func (u *UserRow) readRole(row []cdc.Value, was cdc.Role) cdc.Role {
	if !u.role.named() {
		return cdc.NoRole
	}
	v := row[u.role.index]
	switch v.Kind {
	case cdc.Unchanged:
		return was
	case cdc.Null:
		return cdc.NoRole
	}
	var buf [64]byte
	b := textBytes(v, u.role.typ, buf[:])
	if u.roles != nil {
		return u.roles[string(b)]
	}
	return cdc.ParseRole(string(b))
}

// AssignmentFields is what a profile knows of an assignment.
type AssignmentFields struct {
	Title       string
	Description string // its first 200 characters
	Course      cdc.ID
	Teacher     cdc.ID // the direct owner
	Published   bool
	Closed      bool
	Due         time.Time // in UTC, to the microsecond; zero: none
	Closes      time.Time // when it closes by itself, like Due; zero: it does not
	BySection   bool      // whoever sees their own section only, does so in this assignment
	Anonymous   bool      // nobody is told whose work it is
	Gone        bool      // deleted, and may come back
}

// descriptionLength is how many characters of a description clients are told.
const descriptionLength = 200

// AssignmentRow reads the rows of assignments.
type AssignmentRow struct {
	where, gone, published, closed, bySection, anonymous clauses
	hasClosed                                            bool
	title, description, due, closes                      column
	course, teacher                                      identity
	times                                                times
}

// Read reads an assignment, given what was known of it before (the zero value:
// nothing). It answers false when the row is no assignment of ours.
func (a *AssignmentRow) Read(row []cdc.Value, was AssignmentFields) (AssignmentFields, bool) {
	if t := a.where.eval(row); t == no || t == unknown && was == (AssignmentFields{}) {
		return AssignmentFields{}, false
	}
	return AssignmentFields{
		Title:       a.title.text(row, was.Title),
		Description: a.description.cut(row, was.Description, descriptionLength),
		Course:      a.course.idOr(row, was.Course),
		Teacher:     a.teacher.idOr(row, was.Teacher),
		Published:   a.published.eval(row).or(was.Published),
		Closed:      a.hasClosed && a.closed.eval(row).or(was.Closed),
		Due:         a.times.read(row, a.due, was.Due),
		Closes:      a.times.read(row, a.closes, was.Closes),
		BySection:   a.bySection.eval(row).or(was.BySection),
		Anonymous:   a.anonymous.eval(row).or(was.Anonymous),
		Gone:        a.gone.eval(row).or(was.Gone),
	}, true
}

// AssignedRow reads the rows that give an assignment to a student.
type AssignedRow struct{ assignment, student column }

// Read reads the two keys of the row.
func (a *AssignedRow) Read(row []cdc.Value) (assignment, student cdc.ID) {
	return a.assignment.id(row), a.student.id(row)
}

// SubmissionFields is what a profile knows of a submission.
type SubmissionFields struct {
	Assignment cdc.ID
	Student    cdc.ID
	Group      cdc.ID // the team whose work it is; none: it is the student's
	GroupName  string
	Attempt    cdc.ID // none where the profile tells no attempts apart
	Tutor      cdc.ID // where it stands in the row or a derived section finds it; see TutorPath
	Submitted  Mark
	Gone       bool
}

// SubmissionRow reads the rows of submissions.
type SubmissionRow struct {
	where, gone                                clauses
	hasGone                                    bool
	assignment, student, tutor, group, attempt identity
	groupName                                  column
	submitted                                  marker
}

// Read reads a submission, given what was known of it before (the zero value:
// nothing). It answers false when the row is no submission of ours.
func (s *SubmissionRow) Read(row []cdc.Value, was SubmissionFields) (SubmissionFields, bool) {
	if t := s.where.eval(row); t == no || t == unknown && was == (SubmissionFields{}) {
		return SubmissionFields{}, false
	}
	now := SubmissionFields{
		Assignment: s.assignment.idOr(row, was.Assignment),
		Student:    s.student.idOr(row, was.Student),
		Group:      s.group.idOr(row, was.Group),
		GroupName:  s.groupName.text(row, was.GroupName),
		Attempt:    s.attempt.idOr(row, was.Attempt),
		Tutor:      s.tutor.idOr(row, was.Tutor),
		Submitted:  s.submitted.read(row, was.Submitted),
		Gone:       s.hasGone && s.gone.eval(row).or(was.Gone),
	}
	// As columns say it that cannot be NULL: of a student there is no team, and of a team no
	// student.
	if now.Group == cdc.IntID(0) {
		now.Group = cdc.ID{}
	}
	if len(s.group) > 0 && now.Student == cdc.IntID(0) {
		now.Student = cdc.ID{}
	}
	return now, true
}

// GradeFields is what a profile knows of a grade that stands in a table of its own.
type GradeFields struct {
	Submission          cdc.ID // the submission's row, where the profile says so; otherwise the next two
	Assignment, Student cdc.ID
	Attempt             cdc.ID // none where the profile tells no attempts apart
	Groups              string // the teams graded too: each ID.AppendKey, sorted; "": none
	Graded              Mark
	Hidden, Auto        bool
}

// GradeRow reads grades: beside a submission by Read, Hidden and Auto, in a table of
// their own by ReadRow.
type GradeRow struct {
	where                                            clauses
	submission, assignment, student, groups, attempt identity
	graded                                           marker
	hidden, auto                                     clauses
	score, text                                      column
}

// ReadRow reads a grade in a table of its own, given what was known of it before (the
// zero value: nothing). It answers false when the row grades nothing.
func (g *GradeRow) ReadRow(row []cdc.Value, was GradeFields) (GradeFields, bool) {
	if t := g.where.eval(row); t == no || t == unknown && was == (GradeFields{}) {
		return GradeFields{}, false
	}
	now := GradeFields{
		Submission: g.submission.idOr(row, was.Submission),
		Assignment: g.assignment.idOr(row, was.Assignment),
		Student:    g.student.idOr(row, was.Student),
		Attempt:    g.attempt.idOr(row, was.Attempt),
		Groups:     g.readGroups(row, was.Groups),
		Graded:     g.graded.read(row, was.Graded),
		Hidden:     g.Hidden(row, was.Hidden),
		Auto:       g.Auto(row, was.Auto),
	}
	if now.Submission.IsZero() && (now.Assignment.IsZero() || now.Student.IsZero()) {
		return GradeFields{}, false
	}
	return now, true
}

func (g *GradeRow) readGroups(row []cdc.Value, was string) string {
	if g.groups.unchanged(row) {
		return was
	}
	var room [8]cdc.ID
	ids := g.groups.ids(row, room[:0])
	ids = slices.DeleteFunc(ids, func(id cdc.ID) bool { return id == cdc.IntID(0) })
	if len(ids) == 0 {
		return ""
	}
	slices.SortFunc(ids, cdc.ID.Compare)
	var buf [128]byte
	out := buf[:0]
	for _, id := range slices.Compact(ids) {
		out = id.AppendKey(out)
	}
	if string(out) == was {
		return was
	}
	return string(out)
}

// Read computes the mark of the grade, given what it was before.
func (g *GradeRow) Read(row []cdc.Value, was Mark) Mark { return g.graded.read(row, was) }

// Hidden reports whether the student must not see the grade yet, given what it was
// before. Where the profile does not say, they may.
func (g *GradeRow) Hidden(row []cdc.Value, was bool) bool { return g.hidden.eval(row).or(was) }

// Auto reports whether a machine gave the grade, given what it was before.
func (g *GradeRow) Auto(row []cdc.Value, was bool) bool { return g.auto.eval(row).or(was) }

// AppendScore writes the grade as JSON: the score, as a number where its column's
// type is one and JSON can say it (78.50000 stays 78.50000; NaN becomes a string),
// true or false for a boolean, otherwise as a string. Without a score it is the
// grade's text; null without either, and where the log does not carry the column.
func (g *GradeRow) AppendScore(dst []byte, row []cdc.Value) []byte {
	c := g.score
	if !c.has(row) {
		c = g.text
	}
	if !c.has(row) {
		return append(dst, "null"...)
	}
	v := row[c.index]
	if c.class == classBool {
		if isTrue(v) {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	}
	var buf [64]byte
	text := textBytes(v, c.typ, buf[:])
	if c.class == classNumber && isJSONNumber(text) {
		return append(dst, text...)
	}
	return cdc.AppendJSONString(dst, text)
}

// has reports whether the row carries a value in the column.
func (c column) has(row []cdc.Value) bool {
	return c.named() && (row[c.index].Kind == cdc.Text || row[c.index].Kind == cdc.Binary)
}

// text reads a column as a string; was is reused where nothing changed.
func (c column) text(row []cdc.Value, was string) string {
	return c.cut(row, was, -1)
}

// cut is text, shortened to a number of characters.
func (c column) cut(row []cdc.Value, was string, most int) string {
	switch {
	case !c.named():
		return ""
	case row[c.index].Kind == cdc.Unchanged:
		return was
	}
	var buf [64]byte
	b := textBytes(row[c.index], c.typ, buf[:])
	if most >= 0 {
		b = firstRunes(b, most)
	}
	if string(b) == was {
		return was
	}
	return string(b)
}

// firstRunes is the beginning of b, at most n characters and never a part of one.
func firstRunes(b []byte, n int) []byte {
	if len(b) <= n {
		return b
	}
	i := 0
	for ; n > 0 && i < len(b); n-- {
		_, size := utf8.DecodeRune(b[i:])
		i += size
	}
	return slices.Clip(b[:i])
}
