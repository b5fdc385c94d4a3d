package projection

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/schoolbell/schoolbell/cdc"
)

// reason is why somebody might see a thing: in which role, by what, and if they do not,
// why not.
type reason struct {
	person cdc.ID
	as     cdc.Role
	why    string
	not    string
}

// mayNot says why somebody does not see what their relation would show them: what
// fold.may decides, in words.
func (e *explainer) mayNot(r reason) string {
	person, known := e.p.people[r.person]
	switch {
	case !known:
		return "the section user reads nobody of this key"
	case !person.Active:
		return "the person is not active"
	case e.fold.may(e.p.scopeOf(r.as, r.person)):
		return ""
	}
	return fmt.Sprintf("the person is %v, not %v", person.Role, r.as)
}

// owner is the reason of who owns an assignment.
func (e *explainer) owner(of heading) []reason {
	if of.teacher.IsZero() {
		return nil
	}
	return []reason{{person: of.teacher, as: cdc.Teacher, why: "owner of the assignment"}}
}

// staff are the reasons of the staff of an assignment's course: by each row that makes
// them so, in one of the roles. Of a thread's only those see it who see whose work it is.
func (e *explainer) staff(of heading, t *thread, wanted ...cdc.Role) ([]reason, error) {
	if of.course.IsZero() {
		return nil, nil
	}
	var sections []cdc.ID
	switch {
	case t == nil || of.whole:
	case !t.group.IsZero():
		sections = []cdc.ID{t.group}
	default:
		var err error
		if sections, err = e.fold.sections(seat{of.course, t.student}, atEnd); err != nil {
			return nil, err
		}
	}
	var list []reason
	for _, id := range e.staffRows(of.course) {
		for _, m := range e.p.staff[of.course][id] {
			for _, as := range wanted {
				if as == cdc.Teacher && !m.Teacher || as == cdc.Tutor && !m.Tutor {
					continue
				}
				r := reason{person: m.User, as: as, why: fmt.Sprintf("%v of course %v by %s", as, of.course, e.entry("member", id))}
				if t != nil && !of.whole {
					r.not = e.unseen(of.course, m.User, *t, sections)
				}
				list = append(list, r)
			}
		}
	}
	return list, nil
}

// staffRows are the rows that make up a course's staff, in their order.
func (e *explainer) staffRows(course cdc.ID) []rowID {
	var ids []rowID
	for id := range e.p.staff[course] {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b rowID) int { return cmp.Or(a.entry-b.entry, a.row.Compare(b.row)) })
	return ids
}

// entry names a row by the entry of the profile's list that reads it.
func (e *explainer) entry(section string, id rowID) string {
	return fmt.Sprintf("%s row %v", entryName(section, id.entry, e.p.profile.Members()), id.row)
}

// entryName is what the profile calls an entry of a list.
func entryName(section string, i, of int) string {
	if of == 1 {
		return section
	}
	return fmt.Sprintf("%s %d", section, i+1)
}

// unseen says why one of a course's staff does not see a student there; "": they do.
func (e *explainer) unseen(course, person cdc.ID, t thread, sections []cdc.ID) string {
	team := e.p.teams[course]
	i := slices.IndexFunc(team, func(c colleague) bool { return c.person == person })
	if i < 0 || team[i].sees(sections) {
		return ""
	}
	whose := fmt.Sprintf("student %v is in %s", t.student, listed("section", sections))
	if !t.group.IsZero() {
		whose = fmt.Sprintf("it is the work of team %v", t.group)
	}
	return fmt.Sprintf("sees only %s of the course, and %s", listed("section", team[i].sections), whose)
}

// listed names some ids.
func listed(what string, ids []cdc.ID) string {
	switch len(ids) {
	case 0:
		return "no " + what
	case 1:
		return fmt.Sprintf("%s %v", what, ids[0])
	}
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return what + "s " + strings.Join(texts, ", ")
}

// ofThread are the reasons of everybody with whom a thread has to do, students aside.
func (e *explainer) ofThread(t thread, of heading) ([]reason, error) {
	list := e.owner(of)
	if !t.tutor.IsZero() {
		list = append(list, reason{person: t.tutor, as: cdc.Tutor, why: "tutor of the student"})
	}
	staff, err := e.staff(of, &t, cdc.Teacher, cdc.Tutor)
	return append(list, staff...), err
}

// student is the reason of the student whose work it is.
func (e *explainer) student(t thread, not string) []reason {
	if t.student.IsZero() {
		return nil
	}
	if !e.p.cfg.Students {
		not = "students may not connect (the setting roles)"
	}
	return []reason{{person: t.student, as: cdc.Student, why: "the student whose work it is", not: not}}
}

// ofAssignment are the reasons of everybody with whom an assignment has to do.
func (e *explainer) ofAssignment(id cdc.ID, of heading) ([]reason, error) {
	wanted := []cdc.Role{cdc.Teacher}
	if !e.p.profile.HasAssigned() {
		wanted = append(wanted, cdc.Tutor)
	}
	list := e.owner(of)
	staff, err := e.staff(of, nil, wanted...)
	if err != nil {
		return nil, err
	}
	list = append(list, staff...)
	if e.p.profile.HasAssigned() {
		given, err := e.given(id, of)
		return append(list, given...), err
	}
	if !e.p.cfg.Students {
		return list, nil
	}
	students, err := e.fold.studentsOf(of.course, atEnd)
	for _, student := range students {
		list = append(list, reason{person: student, as: cdc.Student, why: fmt.Sprintf("student of course %v", of.course)})
	}
	return list, err
}

// given are the reasons of those who have to do with an assignment by the students to whom
// it is given.
func (e *explainer) given(id cdc.ID, of heading) ([]reason, error) {
	var list []reason
	err := e.p.scan(appendKey(nil, keyAssignmentGiven, id), func(key, _ []byte) error {
		row, _, err := cdc.CutKey(key)
		if err != nil {
			return err
		}
		g, ok, err := get(&e.fold, keyGiven, row, readGiven)
		if err != nil || !ok {
			return err
		}
		to := fmt.Sprintf("student %v, to whom it is given by row %v", g.student, row)
		if tutor := e.fold.tutor(g.student); !tutor.IsZero() {
			list = append(list, reason{person: tutor, as: cdc.Tutor, why: "tutor of " + to})
		}
		staff, err := e.staff(of, &thread{student: g.student}, cdc.Tutor)
		for _, r := range staff {
			r.why += " of " + to
			list = append(list, r)
		}
		if e.p.cfg.Students {
			list = append(list, reason{person: g.student, as: cdc.Student, why: fmt.Sprintf("it is given to them by row %v", row)})
		}
		return err
	})
	return list, err
}
