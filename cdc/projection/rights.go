package projection

import (
	"cmp"
	"slices"

	"github.com/schoolbell/schoolbell/cdc"
)

// Who may see what follows from relations: whose assignment it is, whose student, who
// is staff of the course and sees which of its sections, whom it is given to. They are
// written as scopes, because whoever sees a thing also counts it; an audience is the
// people of the scopes, those of them who may see it in that role.

// scope is what one person's counts range over.
type scope struct {
	kind   byte
	person cdc.ID
}

const (
	scopeAll     = 'A' // everything: admins
	scopeTeacher = 'T' // what the person owns or teaches
	scopeTutor   = 'U' // the students of the person
	scopeStaff   = 'P' // both; where nobody's row says which of the two they are
	scopeStudent = 'S' // what is the person's own, as far as students may see it
)

func (s scope) append(dst []byte) []byte { return s.person.AppendKey(append(dst, s.kind)) }

func readScope(key []byte) (scope, error) {
	r := reader{b: key}
	s := scope{kind: r.byte(), person: r.id()}
	return s, r.end()
}

func (s scope) compare(other scope) int {
	return cmp.Or(cmp.Compare(s.kind, other.kind), s.person.Compare(other.person))
}

// scopeOf is what a person with this role counts in.
func (p *Projection) scopeOf(role cdc.Role, person cdc.ID) scope {
	switch {
	case role == cdc.Admin:
		return scope{kind: scopeAll}
	case role == cdc.Student:
		return scope{scopeStudent, person}
	case !p.profile.HasRole():
		return scope{scopeStaff, person}
	case role == cdc.Teacher:
		return scope{scopeTeacher, person}
	}
	return scope{scopeTutor, person}
}

// as adds the scope of somebody who sees a thing in a role, once.
func (f *fold) as(dst []scope, role cdc.Role, person cdc.ID) []scope {
	if person.IsZero() {
		return dst
	}
	s := f.p.scopeOf(role, person)
	if slices.Contains(dst, s) {
		return dst
	}
	return append(dst, s)
}

// scopesOf adds the scopes that a thread of this assignment counts in.
func (f *fold) scopesOf(dst []scope, t thread, of heading, when at) ([]scope, error) {
	dst = append(dst, scope{kind: scopeAll})
	dst = f.as(dst, cdc.Teacher, of.teacher)
	dst = f.as(dst, cdc.Tutor, t.tutor)
	if f.p.cfg.Students {
		dst = f.as(dst, cdc.Student, t.student)
	}
	return f.inTeam(dst, of, t, when, true)
}

// tutorsOf adds the scopes of those who see, as their tutor, what of an assignment is
// given to a student.
func (f *fold) tutorsOf(dst []scope, student cdc.ID, of heading, when at) ([]scope, error) {
	tutor := f.tutor(student)
	if when == atStart {
		tutor = f.tutorBefore(student)
	}
	dst = f.as(dst, cdc.Tutor, tutor)
	if f.p.cfg.Students {
		dst = f.as(dst, cdc.Student, student)
	}
	return f.inTeam(dst, of, thread{student: student}, when, false)
}

// inTeam adds the tutors of the assignment's course who see whose work a thread is and, if
// they are asked for, the teachers.
func (f *fold) inTeam(dst []scope, of heading, t thread, when at, teachers bool) ([]scope, error) {
	team := f.team(of.course, when)
	var sections []cdc.ID
	switch {
	case of.whole || !team.limited():
	case !t.group.IsZero():
		sections = []cdc.ID{t.group}
	default:
		var err error
		if sections, err = f.sections(seat{of.course, t.student}, when); err != nil {
			return dst, err
		}
	}
	for _, c := range team {
		if !of.whole && !c.sees(sections) {
			continue
		}
		if c.teacher && teachers {
			dst = f.as(dst, cdc.Teacher, c.person)
		}
		if c.tutor {
			dst = f.as(dst, cdc.Tutor, c.person)
		}
	}
	return dst, nil
}

// direct adds the scopes that see an assignment whichever students it is given to.
func (f *fold) direct(dst []scope, of heading, when at) []scope {
	dst = append(dst, scope{kind: scopeAll})
	dst = f.as(dst, cdc.Teacher, of.teacher)
	for _, c := range f.team(of.course, when) {
		if c.teacher {
			dst = f.as(dst, cdc.Teacher, c.person)
		}
		if c.tutor && !f.p.profile.HasAssigned() {
			dst = f.as(dst, cdc.Tutor, c.person)
		}
	}
	return dst
}

// audience is who of the scopes may see an event, by the end of the transaction.
func (f *fold) audience(scopes []scope) cdc.Audience {
	audience := cdc.Audience{Admins: slices.Contains(scopes, scope{kind: scopeAll})}
	for _, s := range scopes {
		if s.kind != scopeAll && f.may(s) {
			if audience.People == nil {
				audience.People = make([]cdc.ID, 0, len(scopes))
			}
			audience.People = append(audience.People, s.person)
		}
	}
	slices.SortFunc(audience.People, cdc.ID.Compare)
	audience.People = slices.Compact(audience.People)
	return audience
}

// concerned is who hears of an assignment: who sees it directly, through the students
// whom it reaches, or as one of those to whom it is given.
func (f *fold) concerned(of heading, reached []scope) (cdc.Audience, error) {
	scopes, err := append(f.direct(nil, of, atEnd), reached...), error(nil)
	if f.p.cfg.Students && !f.p.profile.HasAssigned() {
		scopes, err = f.addStudents(scopes, of.course, atEnd)
	}
	return f.audience(scopes), err
}

// may reports whether somebody is what the scope takes them for.
func (f *fold) may(s scope) bool {
	p := f.person(s.person)
	if !p.Active {
		return false
	}
	switch s.kind {
	case scopeTeacher:
		return p.Role == cdc.Teacher
	case scopeTutor:
		return p.Role == cdc.Tutor
	case scopeStudent:
		return p.Role == cdc.Student || !f.p.profile.HasRole() && p.Role != cdc.NoRole
	}
	return p.Role == cdc.Teacher || p.Role == cdc.Tutor || p.Role == cdc.Admin
}

// muted reports whether nothing is told of a course by the end of the transaction.
func (f *fold) muted(course cdc.ID) bool {
	if course.IsZero() {
		return false
	}
	if r, ok := f.courses.index[course]; ok {
		return r.exists && !r.now.active
	}
	return f.p.muted[course]
}
