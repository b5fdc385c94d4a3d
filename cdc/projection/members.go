package projection

import (
	"encoding/binary"
	"slices"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// member is one row that says what somebody is in a course.
type member = profile.MemberFields

func isStaff(m member) bool { return m.Teacher || m.Tutor }

// A team is the staff of one course, by person.
type team []colleague

// colleague is one of a course's staff, and what of it they may see.
type colleague struct {
	person         cdc.ID
	teacher, tutor bool
	whole          bool     // all students; otherwise those of the sections
	sections       []cdc.ID // sorted, each once
}

// limited reports whether any of them sees only their sections.
func (t team) limited() bool {
	return slices.ContainsFunc(t, func(c colleague) bool { return !c.whole })
}

// sees reports whether the colleague sees a student who is in these sections.
func (c colleague) sees(sections []cdc.ID) bool {
	return c.whole || slices.ContainsFunc(sections, func(s cdc.ID) bool { return slices.Contains(c.sections, s) })
}

// rowID is a row of one of the entries of `member`, which may read the same table.
type rowID struct {
	entry int
	row   cdc.ID
}

// newTeam is what rows about one course make of its staff. Somebody is limited to
// sections when all of their rows are.
func newTeam(rows map[rowID]member) team {
	byPerson := map[cdc.ID]colleague{}
	for _, m := range rows {
		c := byPerson[m.User]
		c.person = m.User
		c.teacher, c.tutor = c.teacher || m.Teacher, c.tutor || m.Tutor
		c.whole = c.whole || !m.OwnSection
		if !m.Section.IsZero() && !slices.Contains(c.sections, m.Section) {
			c.sections = append(c.sections, m.Section)
		}
		byPerson[m.User] = c
	}
	t := make(team, 0, len(byPerson))
	for _, c := range byPerson {
		slices.SortFunc(c.sections, cdc.ID.Compare)
		t = append(t, c)
	}
	slices.SortFunc(t, func(a, b colleague) int { return a.person.Compare(b.person) })
	return t
}

func (t team) equal(other team) bool {
	return slices.EqualFunc(t, other, func(a, b colleague) bool {
		return a.person == b.person && a.teacher == b.teacher && a.tutor == b.tutor && a.whole == b.whole &&
			(a.whole || slices.Equal(a.sections, b.sections))
	})
}

// seat is a student's place in a course.
type seat struct{ course, student cdc.ID }

// An enrolment is by how many rows the student has the seat, section by section; a row
// without a section has the zero one.
type enrolment map[cdc.ID]int32

// sections lists the sections. Of who has no seat there are none.
func (e enrolment) sections() []cdc.ID {
	var list []cdc.ID
	for section := range e {
		if !section.IsZero() {
			list = append(list, section)
		}
	}
	slices.SortFunc(list, cdc.ID.Compare)
	return list
}

func (e enrolment) add(section cdc.ID, n int32) {
	if e[section] += n; e[section] == 0 {
		delete(e, section)
	}
}

func (e enrolment) append(dst []byte) []byte {
	list := make([]cdc.ID, 0, len(e))
	for section := range e {
		list = append(list, section)
	}
	slices.SortFunc(list, cdc.ID.Compare)
	for _, section := range list {
		dst = binary.AppendVarint(section.AppendKey(dst), int64(e[section]))
	}
	return dst
}

func readEnrolment(b []byte) (enrolment, error) {
	e, r := enrolment{}, reader{b: b}
	for len(r.b) > 0 && r.err == nil {
		section := r.id()
		e[section] = int32(r.varint())
	}
	return e, r.end()
}

// before and after the transaction at hand.
type change[T any] struct{ was, now T }

// at says which side of the transaction is meant.
type at bool

const (
	atStart at = false
	atEnd   at = true
)

func (c change[T]) at(when at) T {
	if when == atEnd {
		return c.now
	}
	return c.was
}

// team is the staff of a course.
func (f *fold) team(course cdc.ID, when at) team {
	if course.IsZero() {
		return nil
	}
	if c, ok := f.teams[course]; ok {
		return c.at(when)
	}
	return f.p.teams[course]
}

// sections are those of a student in a course.
func (f *fold) sections(s seat, when at) ([]cdc.ID, error) {
	if c, ok := f.seats[s]; ok {
		return c.at(when).sections(), nil
	}
	e, err := f.stored(s)
	return e.sections(), err
}

// stored is the enrolment as the shadow has it.
func (f *fold) stored(s seat) (enrolment, error) {
	value, ok, err := f.p.get(appendKey(nil, keySeat, s.course, s.student), nil)
	if err != nil || !ok {
		return enrolment{}, err
	}
	return readEnrolment(value)
}

// studentsOf lists the students of a course.
func (f *fold) studentsOf(course cdc.ID, when at) ([]cdc.ID, error) {
	if course.IsZero() {
		return nil, nil
	}
	var list []cdc.ID
	err := f.p.scan(appendKey(nil, keySeat, course), func(key, _ []byte) error {
		student, _, err := cdc.CutKey(key)
		if _, touched := f.seats[seat{course, student}]; !touched {
			list = append(list, student)
		}
		return err
	})
	for s, c := range f.seats {
		if s.course == course && len(c.at(when)) > 0 {
			list = append(list, s.student)
		}
	}
	return list, err
}

// member answers the overlay of an entry of `member`, making those up to it.
func (f *fold) member(entry int) *overlay[member] {
	for len(f.members) <= entry {
		index := len(f.members)
		f.members = append(f.members, &overlay[member]{load: func(id cdc.ID) (member, bool, error) {
			return load(f, id.AppendKey([]byte{keyMember, byte(index)}), readMember)
		}})
	}
	return f.members[entry]
}

// followMembers settles who is in which course by the end of the transaction, and
// touches what counts for somebody else now.
func (f *fold) followMembers() error {
	rows := map[cdc.ID]map[rowID]member{} // of the courses whose staff changes
	for entry, o := range f.members {
		for _, r := range o.rows {
			if unchanged(r) {
				continue
			}
			id := rowID{entry, r.key}
			if r.existed {
				if isStaff(r.was) {
					delete(f.staffOf(rows, r.was.Course), id)
				}
				if err := f.enrol(r.was, -1); err != nil {
					return err
				}
			}
			if r.exists {
				if isStaff(r.now) {
					f.staffOf(rows, r.now.Course)[id] = r.now
				}
				if err := f.enrol(r.now, +1); err != nil {
					return err
				}
			}
		}
	}
	for course, staff := range rows {
		f.teams[course] = change[team]{f.p.teams[course], newTeam(staff)}
	}
	if f.fresh {
		return nil
	}
	return f.followSeats()
}

// staffOf are the rows about a course's staff by the end of the transaction.
func (f *fold) staffOf(rows map[cdc.ID]map[rowID]member, course cdc.ID) map[rowID]member {
	staff, ok := rows[course]
	if !ok {
		staff = map[rowID]member{}
		for id, m := range f.p.staff[course] {
			staff[id] = m
		}
		rows[course] = staff
	}
	return staff
}

// enrol adds a row's n to the seat that it gives.
func (f *fold) enrol(m member, n int32) error {
	if !m.Student {
		return nil
	}
	s := seat{m.Course, m.User}
	c, ok := f.seats[s]
	if !ok {
		was, err := f.stored(s)
		if err != nil {
			return err
		}
		c = change[enrolment]{was, enrolment{}}
		for section, n := range was {
			c.now[section] = n
		}
		f.seats[s] = c
	}
	c.now.add(m.Section, n)
	return nil
}

// followSeats touches what other staff sees now: all of a course whose team is another,
// and what a student has who is in other sections.
func (f *fold) followSeats() error {
	for course, c := range f.teams {
		if c.was.equal(c.now) {
			continue
		}
		for id := range f.p.assignmentsOf[course] {
			if err := f.touchAssignment(id); err != nil {
				return err
			}
		}
	}
	for s, c := range f.seats {
		if f.p.cfg.Students && !f.p.profile.HasAssigned() && (len(c.was) == 0) != (len(c.now) == 0) {
			for id := range f.p.assignmentsOf[s.course] {
				if _, err := f.assignments.touch(id); err != nil {
					return err
				}
			}
		}
		if !f.team(s.course, atStart).limited() && !f.team(s.course, atEnd).limited() ||
			slices.Equal(c.was.sections(), c.now.sections()) {
			continue
		}
		if err := f.touchStudent(s.student); err != nil {
			return err
		}
	}
	return nil
}

// touchAssignment touches an assignment with its threads, and to whom it is given.
func (f *fold) touchAssignment(id cdc.ID) error {
	if _, err := f.assignments.touch(id); err != nil {
		return err
	}
	if err := touchAll(f, &f.threads, appendKey(nil, keyAssignThread, id)); err != nil {
		return err
	}
	return touchAll(f, &f.given, appendKey(nil, keyAssignmentGiven, id))
}

// touchStudent touches the threads of a student and what is given to them.
func (f *fold) touchStudent(id cdc.ID) error {
	if err := touchAll(f, &f.threads, appendKey(nil, keyStudentThread, id)); err != nil {
		return err
	}
	return touchAll(f, &f.given, appendKey(nil, keyStudentGiven, id))
}

// storeMembers writes the rows of members, those of the staff a second time under their
// course, and the seats.
func (f *fold) storeMembers(b writer) {
	for entry, o := range f.members {
		for _, r := range o.rows {
			if unchanged(r) {
				continue
			}
			key := r.key.AppendKey([]byte{keyMember, byte(entry)})
			if r.existed && isStaff(r.was) {
				b.Delete(staffKey(r.was.Course, entry, r.key))
			}
			if !r.exists {
				b.Delete(key)
				continue
			}
			value := appendMember(nil, r.now)
			b.Set(key, value)
			if isStaff(r.now) {
				b.Set(staffKey(r.now.Course, entry, r.key), value)
			}
		}
	}
	for s, c := range f.seats {
		setNumber(b, appendKey(nil, keySeat, s.course, s.student), c.now.append(nil))
	}
}

func staffKey(course cdc.ID, entry int, row cdc.ID) []byte {
	return row.AppendKey(append(appendKey(nil, keyStaff, course), byte(entry)))
}

// publishMembers makes the staff visible in memory. The caller holds p.mu.
func (f *fold) publishMembers() {
	for entry, o := range f.members {
		for _, r := range o.rows {
			if r.existed && isStaff(r.was) {
				delete(f.p.staff[r.was.Course], rowID{entry, r.key})
			}
			if r.exists && isStaff(r.now) {
				f.p.hire(rowID{entry, r.key}, r.now)
			}
		}
	}
	for course, c := range f.teams {
		if f.p.teams[course] = c.now; len(c.now) == 0 {
			delete(f.p.teams, course)
			delete(f.p.staff, course)
		}
	}
}

func (p *Projection) hire(id rowID, m member) {
	staff, ok := p.staff[m.Course]
	if !ok {
		staff = map[rowID]member{}
		p.staff[m.Course] = staff
	}
	staff[id] = m
}
