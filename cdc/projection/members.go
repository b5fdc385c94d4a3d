package projection

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// member is one row that says what somebody is in a course.
type member = profile.MemberFields

func isStaff(m member) bool { return m.Teacher || m.Tutor }

// memberRow is one row of an entry of `member`: the memberships that it makes, written one
// after the other. Most rows make one; one that is read through lookups may make many.
type memberRow struct{ list string }

func (m memberRow) read() []member {
	list, err := readMembers([]byte(m.list))
	if err != nil {
		return nil // newMemberRow wrote it, or it was checked when it was loaded
	}
	return list
}

// one is the membership of a row that makes one at most.
func (m memberRow) one() member {
	if m.list == "" {
		return member{}
	}
	return readMember(&reader{b: []byte(m.list)})
}

// newMemberRow reads what a row makes in each of the ways in which lookups complete it.
func newMemberRow(of *profile.MemberRow, rows [][]cdc.Value) memberRow {
	var list []string
	for _, values := range rows {
		if m, ok := of.Read(values, member{}); ok {
			list = append(list, string(appendMember(nil, m)))
		}
	}
	slices.Sort(list)
	return memberRow{strings.Join(slices.Compact(list), "")}
}

// difference lists the memberships that a touched row makes no more, and those that it
// makes now and did not.
func difference(r *touched[memberRow]) (gone, come []member) {
	was, now := r.was.read(), r.now.read()
	for _, m := range was {
		if !slices.Contains(now, m) {
			gone = append(gone, m)
		}
	}
	for _, m := range now {
		if !slices.Contains(was, m) {
			come = append(come, m)
		}
	}
	return gone, come
}

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

// staff are the memberships of those who are staff of one course, by the row.
type staff map[rowID][]member

func (s staff) remove(id rowID, m member) {
	list := slices.DeleteFunc(slices.Clone(s[id]), func(other member) bool { return other == m })
	if s[id] = list; len(list) == 0 {
		delete(s, id)
	}
}

// add keeps the list of another owner as it is.
func (s staff) add(id rowID, m member) { s[id] = append(s[id][:len(s[id]):len(s[id])], m) }

// newTeam is what rows about one course make of its staff. Somebody is limited to
// sections when all of their rows are.
func newTeam(rows staff) team {
	byPerson := map[cdc.ID]colleague{}
	for _, list := range rows {
		for _, m := range list {
			c := byPerson[m.User]
			c.person = m.User
			c.teacher, c.tutor = c.teacher || m.Teacher, c.tutor || m.Tutor
			c.whole = c.whole || !m.OwnSection
			if !m.Section.IsZero() && !slices.Contains(c.sections, m.Section) {
				c.sections = append(c.sections, m.Section)
			}
			byPerson[m.User] = c
		}
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
func (f *fold) member(entry int) *overlay[memberRow] {
	for len(f.members) <= entry {
		index := len(f.members)
		f.members = append(f.members, &overlay[memberRow]{load: func(id cdc.ID) (memberRow, bool, error) {
			return load(f, id.AppendKey([]byte{keyMember, byte(index)}), func(b []byte) (memberRow, error) {
				_, err := readMembers(b)
				return memberRow{string(b)}, err
			})
		}})
	}
	return f.members[entry]
}

// followMembers settles who is in which course by the end of the transaction, and
// touches what counts for somebody else now.
func (f *fold) followMembers() error {
	rows := map[cdc.ID]staff{} // of the courses whose staff changes
	for entry, o := range f.members {
		for _, r := range o.rows {
			if unchanged(r) {
				continue
			}
			gone, come := difference(r)
			for _, m := range gone {
				if isStaff(m) {
					f.staffOf(rows, m.Course).remove(rowID{entry, r.key}, m)
				}
				if err := f.enrol(m, -1); err != nil {
					return err
				}
			}
			for _, m := range come {
				if isStaff(m) {
					f.staffOf(rows, m.Course).add(rowID{entry, r.key}, m)
				}
				if err := f.enrol(m, +1); err != nil {
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

// staffOf is a course's staff by the end of the transaction.
func (f *fold) staffOf(rows map[cdc.ID]staff, course cdc.ID) staff {
	s, ok := rows[course]
	if !ok {
		if s = maps.Clone(f.p.staff[course]); s == nil {
			s = staff{}
		}
		rows[course] = s
	}
	return s
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
			if key := r.key.AppendKey([]byte{keyMember, byte(entry)}); r.exists {
				b.Set(key, []byte(r.now.list))
			} else {
				b.Delete(key)
			}
			for course, list := range staffChanges(r) {
				setNumber(b, staffKey(course, entry, r.key), list)
			}
		}
	}
	for s, c := range f.seats {
		setNumber(b, appendKey(nil, keySeat, s.course, s.student), c.now.append(nil))
	}
}

// staffChanges is what a touched row makes now of the staff of the courses of which it
// makes something else, written out.
func staffChanges(r *touched[memberRow]) map[cdc.ID][]byte {
	gone, come := difference(r)
	courses := map[cdc.ID][]byte{}
	for _, m := range append(gone, come...) {
		if isStaff(m) {
			courses[m.Course] = nil
		}
	}
	for _, m := range r.now.read() {
		if list, changed := courses[m.Course]; changed && isStaff(m) {
			courses[m.Course] = appendMember(list, m)
		}
	}
	return courses
}

func staffKey(course cdc.ID, entry int, row cdc.ID) []byte {
	return row.AppendKey(append(appendKey(nil, keyStaff, course), byte(entry)))
}

// publishMembers makes the staff visible in memory. The caller holds p.mu.
func (f *fold) publishMembers() {
	for entry, o := range f.members {
		for _, r := range o.rows {
			if unchanged(r) {
				continue
			}
			gone, come := difference(r)
			for _, m := range gone {
				if isStaff(m) {
					f.p.staff[m.Course].remove(rowID{entry, r.key}, m)
				}
			}
			for _, m := range come {
				if isStaff(m) {
					f.p.hire(rowID{entry, r.key}, m)
				}
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
	if p.staff[m.Course] == nil {
		p.staff[m.Course] = staff{}
	}
	p.staff[m.Course].add(id, m)
}
