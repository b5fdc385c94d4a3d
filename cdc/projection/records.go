package projection

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// Letters that keys begin with; see the package comment.
const (
	keyThread          = 't'
	keyStudentThread   = 's'
	keyAssignThread    = 'm'
	keyAssignment      = 'a'
	keyPerson          = 'u'
	keyGiven           = 'g'
	keyStudentGiven    = 'x'
	keyAssignmentGiven = 'y'
	keyReach           = 'r'
	keyLookup          = 'l'
	keyActive          = 'n'
	keyCounts          = 'c'
	keyAdmin           = 'w'
	keyCourse          = 'o'
	keyMember          = 'e'
	keyStaff           = 'f'
	keySeat            = 'j'
	keyAdminRow        = 'd'
	keyStanding        = 'b'
	keyAside           = '+'
	keyNews            = 'k'
	keyHeld            = 'v'
	keyDependency      = 'p'
	keyMoment          = 'z'
	keyGrade           = 'h'
	keyLinkGrades      = 'q'
	keyLinkThread      = 'i'
)

// letters are all of them.
const letters = "tsmaugxyrlncwoefjdb+kvpzhqi"

// thread is one submission as the shadow remembers it.
type thread struct {
	assignment cdc.ID
	student    cdc.ID
	tutor      cdc.ID // resolved by the end of the last transaction that touched it
	submitted  profile.Mark
	graded     profile.Mark
	gone       bool   // soft-deleted: counted nowhere, its marks frozen
	hidden     bool   // the student must not see the grade yet
	group      cdc.ID // the team whose work it is; none: the student's own
	attempt    cdc.ID // where grades name one
	// score is the JSON of the grade that the transaction at hand has given, and whether
	// nobody but a machine gave it; name is the team's. They are empty in the shadow.
	score string
	auto  bool
	name  string
}

// told forgets what only the events of the transaction at hand needed.
func (t *thread) told() { t.score, t.auto, t.name = "", false, "" }

// assignment is one assignment as the shadow remembers it.
type assignment struct {
	profile.AssignmentFields
	created bool // its `assignment` event has been given
	expired bool // the moment at which it closes by itself has passed
}

// open reports whether the assignment may still become closed.
func (a assignment) open() bool {
	return a.created && a.Published && !a.Closed && !a.expired && !a.Gone
}

// course is a course as the shadow remembers it.
type course struct{ active bool }

// given is one row of the table that gives assignments to students.
type given struct {
	assignment cdc.ID
	student    cdc.ID
}

var errRecord = errors.New("a stored record is cut short or of another version")

func appendKey(dst []byte, letter byte, ids ...cdc.ID) []byte {
	dst = append(dst, letter)
	for _, id := range ids {
		dst = id.AppendKey(dst)
	}
	return dst
}

const (
	flagGone = 1 << iota
	flagCreated
	flagPublished
	flagClosed
	flagActive
	flagExpired
	flagHidden
)

// Of threads.
const (
	flagTeam = flagCreated << iota // it has a group or an attempt
	flagAuto
)

// Of assignments.
const (
	flagWhole     = flagHidden << iota // its staff sees all of it, whatever their sections
	flagAnonymous                      // nobody is told whose work it is
)

// What somebody is in a course.
const (
	flagTeacher = 1 << iota
	flagTutor
	flagStudent
	flagOwnSection
)

func flag(on bool, bit byte) byte {
	if on {
		return bit
	}
	return 0
}

func appendThread(dst []byte, t thread) []byte {
	more := !t.group.IsZero() || !t.attempt.IsZero() || t.name != ""
	dst = append(dst, flag(t.gone, flagGone)|flag(t.hidden, flagHidden)|flag(t.auto, flagAuto)|flag(more, flagTeam))
	dst = t.assignment.AppendKey(dst)
	dst = t.student.AppendKey(dst)
	dst = t.tutor.AppendKey(dst)
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.submitted))
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.graded))
	if more {
		dst = appendString(t.attempt.AppendKey(t.group.AppendKey(dst)), t.name)
	}
	if t.score != "" {
		dst = appendString(dst, t.score)
	}
	return dst
}

func readThread(b []byte) (t thread, err error) {
	r := reader{b: b}
	flags := r.byte()
	t.gone, t.hidden, t.auto = flags&flagGone != 0, flags&flagHidden != 0, flags&flagAuto != 0
	t.assignment, t.student, t.tutor = r.id(), r.id(), r.id()
	t.submitted, t.graded = profile.Mark(r.uint64()), profile.Mark(r.uint64())
	if flags&flagTeam != 0 {
		t.group, t.attempt, t.name = r.id(), r.id(), r.string()
	}
	if len(r.b) > 0 {
		t.score = r.string()
	}
	return t, r.end()
}

func appendAssignment(dst []byte, a assignment) []byte {
	dst = append(dst, flag(a.created, flagCreated)|flag(a.Published, flagPublished)|flag(a.Closed, flagClosed)|flag(a.expired, flagExpired)|
		flag(!a.BySection, flagWhole)|flag(a.Anonymous, flagAnonymous)|flag(a.Gone, flagGone))
	dst = a.Course.AppendKey(a.Teacher.AppendKey(dst))
	dst = appendTime(dst, a.Due)
	dst = appendTime(dst, a.Closes)
	dst = appendString(dst, a.Title)
	return appendString(dst, a.Description)
}

func readAssignment(b []byte) (a assignment, err error) {
	r := reader{b: b}
	flags := r.byte()
	a.created, a.expired = flags&flagCreated != 0, flags&flagExpired != 0
	a.Published, a.Closed = flags&flagPublished != 0, flags&flagClosed != 0
	a.BySection, a.Anonymous, a.Gone = flags&flagWhole == 0, flags&flagAnonymous != 0, flags&flagGone != 0
	a.Teacher, a.Course = r.id(), r.id()
	a.Due, a.Closes = r.time(), r.time()
	a.Title, a.Description = r.string(), r.string()
	return a, r.end()
}

func appendGiven(dst []byte, g given) []byte { return g.student.AppendKey(g.assignment.AppendKey(dst)) }

func readGiven(b []byte) (g given, err error) {
	r := reader{b: b}
	g.assignment, g.student = r.id(), r.id()
	return g, r.end()
}

func appendPerson(dst []byte, p person) []byte {
	dst = append(dst, flag(p.Active, flagActive), byte(p.Role), byte(p.own))
	dst = appendString(dst, p.Email)
	dst = appendString(dst, p.FirstName)
	return appendString(dst, p.LastName)
}

func readPerson(id cdc.ID, b []byte) (p person, err error) {
	r := reader{b: b}
	p.ID = id
	p.Active = r.byte()&flagActive != 0
	p.Role, p.own = cdc.Role(r.byte()), cdc.Role(r.byte())
	p.Email, p.FirstName, p.LastName = r.string(), r.string(), r.string()
	return p, r.end()
}

func appendCourse(dst []byte, c course) []byte { return append(dst, flag(c.active, flagActive)) }

func readCourse(b []byte) (c course, err error) {
	r := reader{b: b}
	c.active = r.byte()&flagActive != 0
	return c, r.end()
}

func appendMember(dst []byte, m member) []byte {
	dst = append(dst, flag(m.Teacher, flagTeacher)|flag(m.Tutor, flagTutor)|flag(m.Student, flagStudent)|flag(m.OwnSection, flagOwnSection))
	return m.Section.AppendKey(m.Course.AppendKey(m.User.AppendKey(dst)))
}

// readMembers reads memberships that were written one after the other.
func readMembers(b []byte) (list []member, err error) {
	for r := (reader{b: b}); len(r.b) > 0; {
		list = append(list, readMember(&r))
		if r.err != nil {
			return nil, r.err
		}
	}
	return list, nil
}

func readMember(r *reader) (m member) {
	flags := r.byte()
	m.Teacher, m.Tutor = flags&flagTeacher != 0, flags&flagTutor != 0
	m.Student, m.OwnSection = flags&flagStudent != 0, flags&flagOwnSection != 0
	m.User, m.Course, m.Section = r.id(), r.id(), r.id()
	return m
}

func appendCounts(dst []byte, c cdc.Counts) []byte {
	for _, n := range []int64{c.PendingSubmissions, c.UngradedSubmissions, c.ActiveStudents, c.TotalAssignments} {
		dst = binary.AppendVarint(dst, n)
	}
	return dst
}

func readCounts(b []byte) (c cdc.Counts, err error) {
	r := reader{b: b}
	c.PendingSubmissions, c.UngradedSubmissions = r.varint(), r.varint()
	c.ActiveStudents, c.TotalAssignments = r.varint(), r.varint()
	return c, r.end()
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendTime keeps the microseconds that PostgreSQL keeps. The zero time is 0,
// which costs us the one moment 1970-01-01 00:00:00.
func appendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(dst, 0)
	}
	return binary.AppendVarint(dst, t.UnixMicro())
}

// reader reads a record from its beginning; the first error stays.
type reader struct {
	b   []byte
	err error
}

func (r *reader) cut(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.b) {
		r.err = errRecord
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.cut(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.cut(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.b)
	r.cut(sizeOf(size))
	return n
}

func (r *reader) varint() int64 {
	n, size := binary.Varint(r.b)
	r.cut(sizeOf(size))
	return n
}

// sizeOf turns binary's "cut short" and "overflow" (size ≤ 0) into a length
// that cannot be cut.
func sizeOf(size int) int {
	if size <= 0 {
		return -1
	}
	return size
}

func (r *reader) string() string { return string(r.cut(int(min(r.uvarint(), 1<<31-1)))) }

func (r *reader) time() time.Time {
	if n := r.varint(); n != 0 {
		return time.UnixMicro(n).UTC()
	}
	return time.Time{}
}

func (r *reader) id() cdc.ID {
	if r.err != nil {
		return cdc.ID{}
	}
	id, rest, err := cdc.CutKey(r.b)
	r.b, r.err = rest, err
	return id
}

// end reports what went wrong, or that something is left over.
func (r *reader) end() error {
	if r.err == nil && len(r.b) > 0 {
		r.err = errRecord
	}
	return r.err
}
