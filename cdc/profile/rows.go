package profile

import (
	"slices"
	"time"
	"unicode/utf8"

	"github.com/schoolbell/schoolbell/cdc"
)

// LookupRow reads the rows of a lookup: the columns that paths take from it, under
// a key that no other row of the table has.
type LookupRow struct {
	index  int
	key    column
	values []column
}

// Index is the lookup's number, as in TutorPath.
func (l *LookupRow) Index() int { return l.index }

// Key is what paths find the row by. It may be none.
func (l *LookupRow) Key(row []cdc.Value) cdc.ID { return l.key.id(row) }

// Values are the columns that paths take from the row. It returns was itself when
// nothing changed; an Unchanged column keeps what it was.
func (l *LookupRow) Values(row []cdc.Value, was []cdc.ID) []cdc.ID {
	same := len(was) == len(l.values)
	for i := 0; same && i < len(l.values); i++ {
		same = l.values[i].idOr(row, was[i]) == was[i]
	}
	if same {
		return was
	}
	out := make([]cdc.ID, len(l.values))
	for i, c := range l.values {
		var before cdc.ID
		if i < len(was) {
			before = was[i]
		}
		out[i] = c.idOr(row, before)
	}
	return out
}

// UserRow reads the rows of people.
type UserRow struct {
	identity                 identity
	where, active            clauses
	first, last, email, role column
	roles                    map[string]cdc.Role
}

// Read reads a person, given what was known of them before. Their role is NoRole
// where it follows from memberships. It answers false when the row is nobody of ours.
func (u *UserRow) Read(row []cdc.Value, was cdc.Person) (cdc.Person, bool) {
	if !u.where.eval(row).or(!was.ID.IsZero()) {
		return cdc.Person{}, false
	}
	return cdc.Person{
		ID:        u.identity.id(row),
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
}

// descriptionLength is how many characters of a description clients are told.
const descriptionLength = 200

// AssignmentRow reads the rows of assignments.
type AssignmentRow struct {
	where, published, closed                         clauses
	hasClosed                                        bool
	title, description, course, teacher, due, closes column
	times                                            times
}

// Read reads an assignment, given what was known of it before (the zero value:
// nothing). It answers false when the row is no assignment of ours.
func (a *AssignmentRow) Read(row []cdc.Value, was AssignmentFields) (AssignmentFields, bool) {
	if !a.where.eval(row).or(was != AssignmentFields{}) {
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
	Tutor      cdc.ID // where it is a column of the row; see TutorPath
	Submitted  Mark
	Gone       bool
}

// SubmissionRow reads the rows of submissions.
type SubmissionRow struct {
	where, gone                clauses
	hasGone                    bool
	assignment, student, tutor column
	submitted                  marker
}

// Read reads a submission, given what was known of it before (the zero value:
// nothing). It answers false when the row is no submission of ours.
func (s *SubmissionRow) Read(row []cdc.Value, was SubmissionFields) (SubmissionFields, bool) {
	if !s.where.eval(row).or(was != SubmissionFields{}) {
		return SubmissionFields{}, false
	}
	return SubmissionFields{
		Assignment: s.assignment.idOr(row, was.Assignment),
		Student:    s.student.idOr(row, was.Student),
		Tutor:      s.tutor.idOr(row, was.Tutor),
		Submitted:  s.submitted.read(row, was.Submitted),
		Gone:       s.hasGone && s.gone.eval(row).or(was.Gone),
	}, true
}

// GradeRow reads the grade in a submission's row.
type GradeRow struct {
	graded      marker
	hidden      clauses
	score, text column
}

// Read computes the mark of the grade, given what it was before.
func (g *GradeRow) Read(row []cdc.Value, was Mark) Mark { return g.graded.read(row, was) }

// Hidden reports whether the student must not see the grade yet, given what it was
// before. Where the profile does not say, they may.
func (g *GradeRow) Hidden(row []cdc.Value, was bool) bool { return g.hidden.eval(row).or(was) }

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
