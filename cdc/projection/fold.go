package projection

import (
	"errors"
	"fmt"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// fold is one transaction on its way: what it touched, before and after, and what
// follows from that. First change for every row, then settle, then events; then
// store and publish make it last. Its maps are reused from one transaction to the
// next.
type fold struct {
	p *Projection
	// fresh: the shadow is empty and is being filled by a snapshot, whose rows come
	// once each and whose tables come in the profile's order, so there is nothing to
	// look up or to move.
	fresh bool
	// comparison holds the rows of a snapshot against what they were; nil: nobody does.
	comparison *comparison
	time       time.Time // of the commit, or of the snapshot

	people      overlay[cdc.Person]
	assignments overlay[assignment]
	given       overlay[given]
	threads     overlay[thread]
	lookups     []*overlay[lookupRow]

	tutors  map[cdc.ID]cdc.ID // of students whose tutor may have changed: the tutor now
	actives actives
	reaches map[cdc.ID]map[cdc.ID]*tally // assignment, tutor: to how many of the tutor's students it is given
	deltas  map[scope]*cdc.Counts
	admins  map[cdc.ID]turns

	changes uint64 // of rows
	touched uint64 // rows
	noops   uint64 // of them, those left as they were
	buf     []byte
	writer  eventWriter
}

func (f *fold) init(p *Projection) {
	f.p = p
	f.tutors = map[cdc.ID]cdc.ID{}
	f.reaches = map[cdc.ID]map[cdc.ID]*tally{}
	f.deltas = map[scope]*cdc.Counts{}
	f.admins = map[cdc.ID]turns{}
	f.people.load = func(id cdc.ID) (cdc.Person, bool, error) {
		person, ok := p.people[id]
		return person, ok, nil
	}
	f.assignments.load = func(id cdc.ID) (assignment, bool, error) { return get(f, keyAssignment, id, readAssignment) }
	f.given.load = func(id cdc.ID) (given, bool, error) { return get(f, keyGiven, id, readGiven) }
	f.threads.load = func(id cdc.ID) (thread, bool, error) { return get(f, keyThread, id, readThread) }
	f.given.aside = &aside[given]{p: p, table: givenTable()}
	f.threads.aside = &aside[thread]{p: p, table: threadTable()}
}

// get reads a record from the store.
func get[T any](f *fold, letter byte, id cdc.ID, read func([]byte) (T, error)) (record T, ok bool, err error) {
	if f.fresh {
		return record, false, nil
	}
	key := appendKey(make([]byte, 0, 16), letter, id)
	if f.buf, ok, err = f.p.get(key, f.buf[:0]); err != nil || !ok {
		return record, false, err
	}
	record, err = read(f.buf)
	return record, err == nil, err
}

func (f *fold) reset() {
	f.people.reset()
	f.assignments.reset()
	f.given.reset()
	f.threads.reset()
	for _, l := range f.lookups {
		l.reset()
	}
	clear(f.tutors)
	f.actives.reset()
	clear(f.reaches)
	clear(f.deltas)
	clear(f.admins)
	f.changes, f.touched, f.noops = 0, 0, 0
}

// lookup answers the overlay of a lookup table, making those up to it.
func (f *fold) lookup(index int) *overlay[lookupRow] {
	for len(f.lookups) <= index {
		table := f.p.lookup(len(f.lookups))
		f.lookups = append(f.lookups, &overlay[lookupRow]{load: func(id cdc.ID) (lookupRow, bool, error) {
			row, ok := table.rows[id]
			return row, ok, nil
		}})
	}
	return f.lookups[index]
}

// change folds one row change, in every section that reads its table.
func (f *fold) change(c *cdc.Change) error {
	b, err := f.p.binding(c.Table)
	if err != nil {
		return err
	}
	f.changes++
	if c.Op == cdc.Truncate {
		err = f.truncate(b)
	} else {
		err = f.row(b, c)
	}
	if err == nil {
		err = f.makeRoom()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.Table.Name, err)
	}
	return nil
}

func (f *fold) row(b *profile.Binding, c *cdc.Change) (err error) {
	for _, l := range b.Lookups {
		err := f.lookup(l.Index()).apply(c, b.Key, func(values []cdc.Value, was lookupRow) (lookupRow, bool) {
			return newLookupRow(l.Key(values), l.Values(values, was.list())), true
		})
		if err != nil {
			return err
		}
	}
	if b.User != nil {
		err = f.people.apply(c, b.Key, b.User.Read)
	}
	if b.Assignment != nil && err == nil {
		err = f.assignments.apply(c, b.Key, func(values []cdc.Value, was assignment) (assignment, bool) {
			fields, ok := b.Assignment.Read(values, was.AssignmentFields)
			return assignment{AssignmentFields: fields, created: was.created, expired: f.expired(fields, was)}, ok
		})
	}
	if b.Assigned != nil && err == nil {
		err = f.given.apply(c, b.Key, func(values []cdc.Value, _ given) (given, bool) {
			assignment, student := b.Assigned.Read(values)
			return given{assignment, student}, true
		})
	}
	if b.Submission != nil && err == nil {
		err = f.threads.apply(c, b.Key, func(values []cdc.Value, was thread) (thread, bool) {
			return f.readThread(b, values, was, c.Old != nil)
		})
	}
	return err
}

// expired reports whether an assignment has closed by itself: its moment had passed by
// the commit, or it was told so and has not moved.
func (f *fold) expired(now profile.AssignmentFields, was assignment) bool {
	return !now.Closes.IsZero() && (!now.Closes.After(f.time) || was.expired && now.Closes.Equal(was.Closes))
}

// readThread reads a submission's row. A row that got another key has its score
// noted in any case: only its events know that it is not new.
func (f *fold) readThread(b *profile.Binding, values []cdc.Value, was thread, moved bool) (thread, bool) {
	fields, ok := b.Submission.Read(values, profile.SubmissionFields{
		Assignment: was.assignment, Student: was.student, Tutor: was.tutor, Submitted: was.submitted, Gone: was.gone,
	})
	now := thread{
		assignment: fields.Assignment, student: fields.Student, tutor: fields.Tutor,
		submitted: was.submitted, graded: was.graded, gone: fields.Gone, score: was.score,
	}
	if now.gone {
		return now, ok // frozen: what is restored later must not look new
	}
	now.submitted = fields.Submitted
	if b.Grade != nil {
		now.graded = b.Grade.Read(values, was.graded)
		if now.graded != 0 && (moved || now.graded != was.graded) {
			f.buf = b.Grade.AppendScore(f.buf[:0], values)
			now.score = string(f.buf)
		}
	}
	return now, ok
}

// truncate folds TRUNCATE as the deletion of every row.
func (f *fold) truncate(b *profile.Binding) (err error) {
	for _, l := range b.Lookups {
		o := f.lookup(l.Index())
		for id := range f.p.lookup(l.Index()).rows {
			if _, err := o.touch(id); err != nil {
				return err
			}
		}
		err = errors.Join(err, o.drop())
	}
	if b.User != nil {
		for id := range f.p.people {
			if _, err := f.people.touch(id); err != nil {
				return err
			}
		}
		err = errors.Join(err, f.people.drop())
	}
	if b.Assignment != nil {
		err = errors.Join(err, touchAll(f, &f.assignments, keyAssignment), f.assignments.drop())
	}
	if b.Assigned != nil {
		err = errors.Join(err, touchAll(f, &f.given, keyGiven), f.given.drop())
	}
	if b.Submission != nil {
		err = errors.Join(err, touchAll(f, &f.threads, keyThread), f.threads.drop())
	}
	return err
}

// touchAll touches every stored row below a prefix whose keys go on with the
// row's key.
func touchAll[T comparable](f *fold, o *overlay[T], letter byte, ids ...cdc.ID) error {
	return f.p.scan(appendKey(nil, letter, ids...), func(key, _ []byte) error {
		id, _, err := cdc.CutKey(key)
		if err != nil {
			return err
		}
		if _, err = o.touch(id); err != nil {
			return err
		}
		return f.makeRoom()
	})
}

// settle finds what follows from the touched rows when the transaction is over:
// rows that were not touched but count for somebody else now, the threads'
// tutors, what has been created, the counts, and the events, which go to the
// writer: what was created, then what was handed in and graded, then what closed,
// each in the order of first touch. A snapshot has no writer.
func (f *fold) settle(w *eventWriter) error {
	if err := f.followTutors(); err != nil {
		return err
	}
	if err := f.followTeachers(); err != nil {
		return err
	}
	if f.large() {
		if err := f.putAside(); err != nil {
			return err
		}
		if w != nil {
			w.ahead = &pieces{p: f.p}
		}
	}
	if err := f.countAssignments(); err != nil {
		return err
	}
	w.createdAll(f)
	err := f.threads.visit(func(r *touched[thread]) error {
		f.followTutor(r)
		w.thread(r)
		if f.comparison == nil {
			r.now.score = "" // it has been told
		} else if err := f.comparison.thread(r); err != nil {
			return err
		}
		f.note(unchanged(r))
		f.countThread(r)
		return nil
	})
	if err != nil {
		return err
	}
	if err := f.countActives(); err != nil {
		return err
	}
	w.closedAll(f)
	for _, r := range f.people.rows {
		f.note(unchanged(r))
	}
	for _, l := range f.lookups {
		for _, r := range l.rows {
			f.note(unchanged(r))
		}
	}
	return w.failed()
}

// followTutor notes whose student's thread it is by the end of the transaction.
func (f *fold) followTutor(r *touched[thread]) {
	if _, _, byStudent := f.p.profile.TutorPath(); r.exists && byStudent {
		r.now.tutor = f.tutor(r.now.student)
	}
}

// note counts a touched row.
func (f *fold) note(unchanged bool) {
	f.touched++
	if unchanged {
		f.noops++
	}
}

// empty reports whether the transaction leaves everything as it was.
func (f *fold) empty() bool { return f.touched == f.noops }

// followTeachers settles which assignments have been created, and touches the
// threads of those that another teacher owns now.
func (f *fold) followTeachers() error {
	for _, r := range f.assignments.rows {
		if r.exists {
			before, _ := r.before()
			r.now.created = before.created || r.now.Published
		}
		if f.fresh || r.was.Teacher == r.now.Teacher {
			continue
		}
		if err := touchAll(f, &f.threads, keyAssignThread, r.key); err != nil {
			return err
		}
	}
	return nil
}

// followTutors touches the threads of students who have another tutor now, and
// what is given to them.
func (f *fold) followTutors() error {
	index, column, ok := f.p.profile.TutorPath()
	if !ok || index >= len(f.lookups) {
		return nil
	}
	var students []cdc.ID
	rows := f.lookups[index].rows
	for _, r := range rows {
		if r.existed {
			f.tutors[r.was.key] = cdc.ID{}
			students = append(students, r.was.key)
		}
	}
	for _, r := range rows {
		if r.exists {
			if _, ok := f.tutors[r.now.key]; !ok {
				students = append(students, r.now.key)
			}
			f.tutors[r.now.key] = r.now.value(column)
		}
	}
	if f.fresh {
		return nil
	}
	for _, student := range students {
		if f.tutor(student) == f.tutorBefore(student) {
			continue
		}
		if err := touchAll(f, &f.threads, keyStudentThread, student); err != nil {
			return err
		}
		if err := touchAll(f, &f.given, keyStudentGiven, student); err != nil {
			return err
		}
	}
	return nil
}

// tutorBefore is the student's tutor before the transaction.
func (f *fold) tutorBefore(student cdc.ID) cdc.ID {
	index, column, ok := f.p.profile.TutorPath()
	if !ok || index >= len(f.p.lookups) {
		return cdc.ID{}
	}
	return f.p.lookups[index].value(student, column)
}

// tutor is the student's tutor by the end of the transaction.
func (f *fold) tutor(student cdc.ID) cdc.ID {
	if tutor, ok := f.tutors[student]; ok {
		return tutor
	}
	return f.tutorBefore(student)
}

// teacherBefore owned the assignment before the transaction.
func (f *fold) teacherBefore(id cdc.ID) cdc.ID { return f.p.assignments[id].teacher }

// teacher owns the assignment by the end of the transaction.
func (f *fold) teacher(id cdc.ID) cdc.ID { return f.heading(id).teacher }

// heading is the assignment's by the end of the transaction.
func (f *fold) heading(id cdc.ID) heading {
	if r, ok := f.assignments.index[id]; ok {
		return r.now.heading()
	}
	return f.p.assignments[id]
}

// exists reports whether the assignment is there by the end of the transaction.
func (f *fold) exists(id cdc.ID) bool {
	if r, ok := f.assignments.index[id]; ok {
		return r.exists
	}
	_, ok := f.p.assignments[id]
	return ok
}

// person answers who somebody is by the end of the transaction.
func (f *fold) person(id cdc.ID) cdc.Person {
	if r, ok := f.people.index[id]; ok {
		return r.now
	}
	return f.p.people[id]
}
