package profile

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/schoolbell/schoolbell/cdc"
)

// CourseFields is what a profile knows of a course.
type CourseFields struct {
	Title  string
	Active bool // otherwise nothing of it is told
}

// CourseRow reads the rows of courses.
type CourseRow struct {
	title  column
	active clauses
}

// Read reads a course, given what was known of it before. Every row of the table is
// one: it always answers true.
func (c *CourseRow) Read(row []cdc.Value, was CourseFields) (CourseFields, bool) {
	return CourseFields{Title: c.title.text(row, was.Title), Active: c.active.eval(row).or(was.Active)}, true
}

// MemberFields is one membership: what a person is in a course. They may be several
// things at once, or nothing.
type MemberFields struct {
	User, Course            cdc.ID
	Section                 cdc.ID // of the course; none where rows name none
	Teacher, Tutor, Student bool
	OwnSection              bool // as teacher or tutor they see the students of their section only
}

// MemberRow reads the rows of memberships by one entry of `member`.
type MemberRow struct {
	index                                      int
	where, ownSection, teacher, tutor, student clauses
	user, course, section                      identity
}

// Index is the entry's place in the list; the first is 0.
func (m *MemberRow) Index() int { return m.index }

// Read reads a membership, given what was known of it before (the zero value:
// nothing). It answers false when the row is none: `where` does not hold, or it names
// no person or no course.
func (m *MemberRow) Read(row []cdc.Value, was MemberFields) (MemberFields, bool) {
	if t := m.where.eval(row); t == no || t == unknown && was == (MemberFields{}) {
		return MemberFields{}, false
	}
	now := MemberFields{
		User:       m.user.idOr(row, was.User),
		Course:     m.course.idOr(row, was.Course),
		Section:    m.section.idOr(row, was.Section),
		Teacher:    m.teacher.eval(row).or(was.Teacher),
		Tutor:      m.tutor.eval(row).or(was.Tutor),
		Student:    m.student.eval(row).or(was.Student),
		OwnSection: m.ownSection.eval(row).or(was.OwnSection),
	}
	if now.User.IsZero() || now.Course.IsZero() {
		return MemberFields{}, false
	}
	return now, true
}

// AdminRow reads the rows that make people admins by one entry of `admin`.
type AdminRow struct {
	index int
	where clauses
	user  identity
	split []byte // between the ids in a value; empty: it holds one
}

// Index is the entry's place in the list; the first is 0.
func (a *AdminRow) Index() int { return a.index }

// Read reads whom the row makes an admin, given whom it made one before (nil: nobody).
// The people are sorted, each there once; it is was itself when nothing changed. It
// answers false when the row makes nobody one.
func (a *AdminRow) Read(row []cdc.Value, was []cdc.ID) ([]cdc.ID, bool) {
	switch {
	case !a.where.eval(row).or(len(was) > 0):
		return nil, false
	case a.user.unchanged(row):
		return was, len(was) > 0
	}
	var room [8]cdc.ID
	ids := room[:0]
	if len(a.split) == 0 {
		ids = a.user.ids(row, ids)
	} else {
		c := a.user[0]
		for v := range each(row[c.index]) {
			ids = appendParts(ids, v, c.typ, a.split)
		}
	}
	if len(ids) > 1 {
		slices.SortFunc(ids, cdc.ID.Compare)
		ids = slices.Compact(ids)
	}
	switch {
	case len(ids) == 0:
		return nil, false
	case slices.Equal(ids, was):
		return was, true
	}
	return slices.Clone(ids), true
}

// appendParts takes a value apart at split, and reads each part as an ID.
func appendParts(ids []cdc.ID, v cdc.Value, typ uint32, split []byte) []cdc.ID {
	var buf [64]byte
	for rest, more := textBytes(v, typ, buf[:]), true; more; {
		var part []byte
		part, rest, more = bytes.Cut(rest, split)
		if part = bytes.TrimSpace(part); len(part) > 0 {
			ids = append(ids, parseID(part))
		}
	}
	return ids
}

// parseID is cdc.ParseID, which for an integer allocates nothing.
func parseID(b []byte) cdc.ID {
	var buf [20]byte
	n, ok := integer(cdc.Value{Kind: cdc.Text, Data: b}, oidInt8)
	if ok && string(strconv.AppendInt(buf[:0], n, 10)) == string(b) {
		return cdc.IntID(n)
	}
	return cdc.ParseID(string(b))
}
