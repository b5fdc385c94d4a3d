package projection

import (
	"encoding/binary"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// Where grades have a table of their own, a grade and a thread know each other by a link:
// the submission that the grade names, or the assignment, the attempt, and the student or
// team. Of each link the shadow remembers how many grades it has, and how many of them the
// student may see; a thread is graded when there are any. The event is that of the grade's
// row, which in a team is one for each of its members.
//
//	h row          a row of the grades' table
//	q link         how many grades the link has
//	i link row     index: the thread of a link; where grades name submissions it is the row

// gradeRow is one row of the grades' table as the shadow remembers it.
type gradeRow struct {
	profile.GradeFields
	score string // as in thread
}

// given reports whether the row is a grade.
func (g gradeRow) given() bool { return g.Graded != 0 }

func gradeTable() *table[gradeRow] {
	return &table[gradeRow]{prefix: string(keyGrade), append: appendGrade, read: readGradeRow}
}

func appendGrade(dst []byte, g gradeRow) []byte {
	dst = append(dst, flag(g.Hidden, flagHidden)|flag(g.Auto, flagAuto))
	for _, id := range []cdc.ID{g.Submission, g.Assignment, g.Student, g.Attempt} {
		dst = id.AppendKey(dst)
	}
	dst = binary.BigEndian.AppendUint64(dst, uint64(g.Graded))
	return appendString(appendString(dst, g.Groups), g.score)
}

func readGradeRow(b []byte) (g gradeRow, err error) {
	r := reader{b: b}
	flags := r.byte()
	g.Hidden, g.Auto = flags&flagHidden != 0, flags&flagAuto != 0
	g.Submission, g.Assignment, g.Student, g.Attempt = r.id(), r.id(), r.id(), r.id()
	g.Graded = profile.Mark(r.uint64())
	g.Groups, g.score = r.string(), r.string()
	return g, r.end()
}

// readGrade reads a row of the grades' table.
func (f *fold) readGrade(b *profile.Binding, values []cdc.Value, was gradeRow, moved bool) (gradeRow, bool) {
	fields, ok := b.Grade.ReadRow(values, was.GradeFields)
	now := gradeRow{fields, was.score}
	if now.given() && (moved || now.Graded != was.Graded || was.Hidden && !now.Hidden) {
		f.buf = b.Grade.AppendScore(f.buf[:0], values)
		now.score = string(f.buf)
	}
	return now, ok
}

// A link is what a grade and its thread have in common, as a key.
func linkOf(assignment, attempt cdc.ID, party byte, id cdc.ID) cdc.ID {
	if id.IsZero() {
		return cdc.ID{}
	}
	return cdc.TextID(string(id.AppendKey(append(attempt.AppendKey(assignment.AppendKey(nil)), party))))
}

const (
	partyStudent = 'u'
	partyTeam    = 'g'
)

// links are those of a grade.
func (f *fold) links(g gradeRow) (links []cdc.ID) {
	if f.p.profile.GradeNamesSubmission() {
		if g.Submission.IsZero() {
			return nil
		}
		return []cdc.ID{g.Submission}
	}
	if link := linkOf(g.Assignment, g.Attempt, partyStudent, g.Student); !link.IsZero() {
		links = append(links, link)
	}
	for r := (reader{b: []byte(g.Groups)}); len(r.b) > 0 && r.err == nil; {
		links = append(links, linkOf(g.Assignment, g.Attempt, partyTeam, r.id()))
	}
	return links
}

// link is that of a thread where grades do not name the submission.
func (t thread) link() cdc.ID {
	if !t.group.IsZero() {
		return linkOf(t.assignment, t.attempt, partyTeam, t.group)
	}
	return linkOf(t.assignment, t.attempt, partyStudent, t.student)
}

// linkOfThread is the link of a thread, whichever way grades say it.
func (f *fold) linkOfThread(row cdc.ID, t thread) cdc.ID {
	if f.p.profile.GradeNamesSubmission() {
		return row
	}
	return t.link()
}

// grading is how many grades a link has, and how many of them the student may see.
type grading struct{ given, shown int32 }

func (g grading) append(dst []byte) []byte {
	if g == (grading{}) {
		return dst
	}
	return binary.AppendVarint(binary.AppendVarint(dst, int64(g.given)), int64(g.shown))
}

// grading answers that of a link before the transaction, and as far as it is known by its
// end.
func (f *fold) grading(link cdc.ID) (*change[grading], error) {
	if c, ok := f.gradings[link]; ok {
		return c, nil
	}
	value, ok, err := f.p.get(appendKey(nil, keyLinkGrades, link), nil)
	if err != nil {
		return nil, err
	}
	c := &change[grading]{}
	if ok {
		r := reader{b: value}
		c.was.given, c.was.shown = int32(r.varint()), int32(r.varint())
		if err := r.end(); err != nil {
			return nil, err
		}
	}
	c.now = c.was
	return c, nil
}

// followGrades settles how the links are graded by the end of the transaction, and touches
// the threads of those that are graded otherwise now.
func (f *fold) followGrades() error {
	if !f.p.profile.HasGradeTable() {
		return nil
	}
	err := f.grades.visit(func(r *touched[gradeRow]) error {
		if unchanged(r) {
			return nil
		}
		if err := f.countGrade(r.was, r.existed, -1); err != nil {
			return err
		}
		return f.countGrade(r.now, r.exists, +1)
	})
	if err != nil || f.fresh {
		return err
	}
	for link, c := range f.gradings {
		if (c.was.given > 0) == (c.now.given > 0) && (c.was.shown > 0) == (c.now.shown > 0) {
			continue
		}
		if f.p.profile.GradeNamesSubmission() {
			if _, err := f.threads.touch(link); err != nil {
				return err
			}
			continue
		}
		if err := touchAll(f, &f.threads, appendKey(nil, keyLinkThread, link)); err != nil {
			return err
		}
	}
	return nil
}

func (f *fold) countGrade(g gradeRow, live bool, n int32) error {
	if !live || !g.given() {
		return nil
	}
	for _, link := range f.links(g) {
		c, err := f.grading(link)
		if err != nil {
			return err
		}
		if c.now.given += n; !g.Hidden {
			c.now.shown += n
		}
		f.gradings[link] = c
	}
	return nil
}

// followGrade notes whether a thread is graded by the end of the transaction.
func (f *fold) followGrade(r *touched[thread]) error {
	if !r.exists || !f.p.profile.HasGradeTable() {
		return nil
	}
	link := f.linkOfThread(r.key, r.now)
	if link.IsZero() {
		return nil
	}
	c, err := f.grading(link)
	if err != nil {
		return err
	}
	r.now.graded, r.now.hidden = 0, c.now.given > 0 && c.now.shown == 0
	if c.now.given > 0 {
		r.now.graded = 1
	}
	return nil
}

// tellGrades tells what is new about the rows of the grades' table.
func (f *fold) tellGrades(w *eventWriter) error {
	if !f.p.profile.HasGradeTable() {
		return nil
	}
	return f.grades.visit(func(r *touched[gradeRow]) error {
		f.note(unchanged(r))
		if f.comparison != nil {
			return f.comparison.grade(r)
		}
		if w != nil && r.exists && r.now.given() {
			before, _ := r.before()
			posted := r.now.Graded == before.Graded && before.Hidden && !r.now.Hidden
			if posted || r.now.Graded != before.Graded {
				if err := w.gradeOfRow(r.now, posted); err != nil {
					return err
				}
			}
		}
		r.now.score = ""
		return nil
	})
}

// gradeOfRow tells a grade of the grades' table; posted: to the student alone, who may see
// now what others have seen.
func (w *eventWriter) gradeOfRow(g gradeRow, posted bool) error {
	f := w.fold
	row, about, err := f.about(g)
	if err != nil || about.gone {
		return err
	}
	scopes, err := f.scopesOf(nil, about, f.heading(about.assignment), atEnd)
	if err != nil {
		return err
	}
	if posted {
		scopes = onlyStudents(scopes)
	}
	w.graded(row, about, scopes)
	return nil
}

// about is whose work a grade is of, as a thread of which it is the grade, and the row of
// the submission; none if there is none.
func (f *fold) about(g gradeRow) (row cdc.ID, about thread, err error) {
	row, t, err := f.threadOf(g)
	if err != nil {
		return row, about, err
	}
	about = thread{assignment: g.Assignment, student: g.Student, gone: t.gone, hidden: g.Hidden, score: g.score, auto: g.Auto}
	if f.p.profile.GradeNamesSubmission() {
		about.assignment, about.student, about.group = t.assignment, t.student, t.group
	}
	if about.tutor = t.tutor; !t.group.IsZero() || row.IsZero() {
		about.tutor = f.tutor(about.student)
	}
	return row, about, nil
}

// threadOf is the thread of a grade by the end of the transaction: the student's own, or
// their team's; of several, the one with the lowest key. None if there is none.
func (f *fold) threadOf(g gradeRow) (row cdc.ID, t thread, err error) {
	for _, link := range f.links(g) {
		err := f.linkedThreads(link, func(id cdc.ID, found thread) {
			if row.IsZero() || id.Compare(row) < 0 {
				row, t = id, found
			}
		})
		if err != nil || !row.IsZero() {
			return row, t, err
		}
	}
	return row, t, nil
}

// linkedThreads shows the threads of a link: those that the transaction has touched, as
// noteLink has noted them, and the stored ones that it has not.
func (f *fold) linkedThreads(link cdc.ID, show func(cdc.ID, thread)) error {
	for _, id := range f.linked[link] {
		show(id, f.threads.index[id].now)
	}
	if f.threads.aside.used() {
		if err := f.threads.aside.linked(link, show); err != nil {
			return err
		}
	}
	stored := func(id cdc.ID) error {
		if touched, err := f.threads.find(id); err != nil || touched != nil {
			return err
		}
		t, ok, err := f.threads.load(id)
		if ok {
			show(id, t)
		}
		return err
	}
	if f.p.profile.GradeNamesSubmission() {
		return stored(link)
	}
	return f.p.scan(appendKey(nil, keyLinkThread, link), func(key, _ []byte) error {
		id, _, err := cdc.CutKey(key)
		if err != nil {
			return err
		}
		return stored(id)
	})
}

// noteLink notes the link of a touched thread as it is by the end of the transaction, if
// there are grades that may ask for it: in memory, or aside where the thread itself is.
func (f *fold) noteLink(r *touched[thread], to *pieces) error {
	if !r.exists || r.now.gone || !f.p.profile.HasGradeTable() || len(f.grades.rows) == 0 && !f.grades.aside.used() {
		return nil
	}
	link := f.linkOfThread(r.key, r.now)
	if link.IsZero() {
		return nil
	}
	if f.threads.index[r.key] == r {
		f.linked[link] = append(f.linked[link], r.key)
		return nil
	}
	to.batch().Set(r.key.AppendKey(link.AppendKey(f.threads.aside.appendSort(nil, 'l'))), nil)
	return to.mayFlush()
}
