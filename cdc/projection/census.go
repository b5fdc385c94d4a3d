package projection

import (
	"context"
	"fmt"

	"github.com/schoolbell/schoolbell/cdc"
)

// A Census is what the shadow holds, in numbers, and what in it fits nothing else. It is
// for people who want to know whether a profile is right: a mapping that is wrong rarely
// fails, it makes a school of which half is missing.
type Census struct {
	Courses, Quiet int              // Quiet: of them, those of which nothing is told
	People         map[cdc.Role]int // who are active; every role is there
	Inactive       int

	Assignments, Published, Open, Closed int // every published one is open or closed
	// Each submission that is not gone is either pending or submitted, and of those
	// submitted each is ungraded or not. Graded may be one that is not submitted, too.
	Submissions, Pending, Submitted, Graded, Ungraded, Gone int

	Odd []Odd // in the order of Oddities
}

// Odd is rows of one kind that fit nothing else.
type Odd struct {
	What Oddity
	Rows int
	Of   int          // so many rows there are that could be
	Some []OddExample // of them
}

// OddExample is one of them: its row, and whom or what it names in vain.
type OddExample struct{ Row, Names cdc.ID }

// Oddity is a way in which a row can fit nothing else.
type Oddity byte

const (
	OwnerUnknown            Oddity = iota + 1 // the teacher of an assignment is nobody
	OwnerNoTeacher                            // … is somebody who is neither a teacher nor an admin
	AssignmentUnowned                         // it has no teacher, by itself or by its course
	AssignmentWithoutCourse                   // its course is not there
	SubmissionOfUnknown                       // its student is nobody
	SubmissionWithoutWork                     // its assignment is not there
	TutorUnknown                              // the tutor of a submission's student is nobody
	TutorNoTutor                              // … is somebody who is neither a tutor nor an admin
	GradedUnsubmitted                         // it is graded and was not handed in
	GivenToUnknown                            // an assignment is given to nobody
	GivenWithoutWork                          // what is given is not there
	MemberUnknown                             // a membership of nobody
	MemberWithoutCourse                       // a membership of a course that is not there
	StaffOfOtherRole                          // they teach there, and are no teacher by their own role
)

// Oddities are all of them.
var Oddities = [...]Oddity{
	OwnerUnknown, OwnerNoTeacher, AssignmentUnowned, AssignmentWithoutCourse,
	SubmissionOfUnknown, SubmissionWithoutWork, TutorUnknown, TutorNoTutor, GradedUnsubmitted,
	GivenToUnknown, GivenWithoutWork, MemberUnknown, MemberWithoutCourse, StaffOfOtherRole,
}

// oddExamples is how many of each kind are named.
const oddExamples = 3

// Census counts what the shadow holds. It reads every row.
func (p *Projection) Census(ctx context.Context) (*Census, error) {
	if err := p.turn.take(ctx); err != nil {
		return nil, err
	}
	defer p.turn.end()
	c := &census{Census: Census{People: map[cdc.Role]int{cdc.NoRole: 0}}, ctx: ctx, p: p, odd: map[Oddity]*Odd{}, courses: map[cdc.ID]bool{}}
	c.countPeople()
	for _, kind := range []struct {
		name   string
		prefix []byte
		row    func(key, value []byte) error
	}{
		{"courses", []byte{keyCourse}, byKey(readCourse, c.course)},
		{"members", []byte{keyMember}, c.memberRow},
		{"assignments", []byte{keyAssignment}, byKey(readAssignment, c.assignment)},
		{"what is given", []byte{keyGiven}, byKey(readGiven, c.given)},
		{"submissions", []byte{keyThread}, byKey(readThread, c.thread)},
	} {
		if err := p.scan(kind.prefix, kind.row); err != nil {
			return nil, fmt.Errorf("count the %s: %w", kind.name, err)
		}
	}
	if !c.hasCourses {
		c.Courses = len(c.courses)
	}
	for _, o := range Oddities {
		if odd, ok := c.odd[o]; ok && odd.Rows > 0 {
			c.Odd = append(c.Odd, *odd)
		}
	}
	return &c.Census, nil
}

// census is a Census being made.
type census struct {
	Census
	ctx        context.Context // of the one call that makes it
	p          *Projection
	odd        map[Oddity]*Odd
	courses    map[cdc.ID]bool // there is a row of it; false: it is only named
	hasCourses bool            // courses have rows of their own
	rows       int
}

// byKey reads a row whose key is one id.
func byKey[T any](read func([]byte) (T, error), row func(cdc.ID, T) error) func(key, value []byte) error {
	return func(key, value []byte) error {
		id, _, err := cdc.CutKey(key)
		if err != nil {
			return err
		}
		record, err := read(value)
		if err != nil {
			return err
		}
		return row(id, record)
	}
}

// judge counts a row among those that could be odd, and among those that are.
func (c *census) judge(o Oddity, odd bool, row, names cdc.ID) {
	kind, ok := c.odd[o]
	if !ok {
		kind = &Odd{What: o}
		c.odd[o] = kind
	}
	kind.Of++
	if !odd {
		return
	}
	kind.Rows++
	if len(kind.Some) < oddExamples {
		kind.Some = append(kind.Some, OddExample{row, names})
	}
}

// breathe looks now and then whether anybody still waits for the answer.
func (c *census) breathe() error {
	if c.rows++; c.rows%10_000 != 0 {
		return nil
	}
	return c.ctx.Err()
}

func (c *census) countPeople() {
	for _, role := range cdc.Roles {
		c.People[role] = 0
	}
	for _, person := range c.p.people {
		if person.Active {
			c.People[person.Role]++
		} else {
			c.Inactive++
		}
	}
}

func (c *census) course(id cdc.ID, row course) error {
	c.Courses++
	if !row.active {
		c.Quiet++
	}
	c.courses[id], c.hasCourses = true, true
	return c.breathe()
}

// named notes that a row names a course.
func (c *census) named(o Oddity, row, course cdc.ID) {
	if course.IsZero() {
		return
	}
	if c.hasCourses {
		c.judge(o, !c.courses[course], row, course)
		return
	}
	c.courses[course] = false
}

func (c *census) memberRow(key, value []byte) error {
	r := reader{b: key}
	_, row := r.byte(), r.id()
	if err := r.end(); err != nil {
		return err
	}
	list, err := readMembers(value)
	for _, m := range list {
		c.member(row, m)
	}
	if err != nil {
		return err
	}
	return c.breathe()
}

func (c *census) member(row cdc.ID, m member) {
	person, known := c.p.people[m.User]
	c.judge(MemberUnknown, !known, row, m.User)
	c.named(MemberWithoutCourse, row, m.Course)
	if isStaff(m) && known && person.Active && c.p.profile.HasRole() {
		fits := person.Role == cdc.Admin || m.Teacher && person.Role == cdc.Teacher || m.Tutor && person.Role == cdc.Tutor
		c.judge(StaffOfOtherRole, !fits, row, m.User)
	}
}

func (c *census) assignment(id cdc.ID, a assignment) error {
	c.Assignments++
	switch {
	case !a.Published:
	case a.open():
		c.Published++
		c.Open++
	default:
		c.Published++
		c.Closed++
	}
	c.named(AssignmentWithoutCourse, id, a.Course)
	if a.Teacher.IsZero() {
		c.judge(AssignmentUnowned, !c.taught(a.Course), id, a.Course)
		return c.breathe()
	}
	owner, known := c.p.people[a.Teacher]
	c.judge(OwnerUnknown, !known, id, a.Teacher)
	if known {
		c.judge(OwnerNoTeacher, owner.Role != cdc.Teacher && owner.Role != cdc.Admin, id, a.Teacher)
	}
	return c.breathe()
}

// taught reports whether a course has a teacher.
func (c *census) taught(course cdc.ID) bool {
	for _, colleague := range c.p.teams[course] {
		if colleague.teacher {
			return true
		}
	}
	return false
}

func (c *census) given(row cdc.ID, g given) error {
	_, known := c.p.people[g.student]
	c.judge(GivenToUnknown, !known, row, g.student)
	_, there := c.p.assignments[g.assignment]
	c.judge(GivenWithoutWork, !there, row, g.assignment)
	return c.breathe()
}

func (c *census) thread(id cdc.ID, t thread) error {
	if t.gone {
		c.Gone++
		return c.breathe()
	}
	c.Submissions++
	switch {
	case t.submitted == 0:
		c.Pending++
	case t.graded == 0:
		c.Submitted++
		c.Ungraded++
	default:
		c.Submitted++
	}
	if t.graded != 0 {
		c.Graded++
		c.judge(GradedUnsubmitted, t.submitted == 0, id, t.assignment)
	}
	if t.group.IsZero() {
		_, known := c.p.people[t.student]
		c.judge(SubmissionOfUnknown, !known, id, t.student)
	}
	_, there := c.p.assignments[t.assignment]
	c.judge(SubmissionWithoutWork, !there, id, t.assignment)
	if !t.tutor.IsZero() {
		tutor, known := c.p.people[t.tutor]
		c.judge(TutorUnknown, !known, id, t.tutor)
		if known {
			c.judge(TutorNoTutor, tutor.Role != cdc.Tutor && tutor.Role != cdc.Admin, id, t.tutor)
		}
	}
	return c.breathe()
}
