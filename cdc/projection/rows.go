package projection

import (
	"errors"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// row folds a change of one row, in every section that reads its table.
func (f *fold) row(b *profile.Binding, c *cdc.Change) (err error) {
	if err := f.hold(b, c); err != nil {
		return err
	}
	for _, l := range b.Lookups {
		err := f.lookup(l.Index()).apply(c, b.Key, func(values []cdc.Value, was lookupRow) (lookupRow, bool) {
			record, ok := l.Read(values, was.read())
			return newLookupRow(record), ok
		})
		if err != nil {
			return err
		}
	}
	if b.User != nil {
		err = f.people.apply(c, b.Key, func(values []cdc.Value, was person) (person, bool) {
			was.Role = was.own
			now, ok := b.User.Read(values, was.Person)
			return person{now, now.Role}, ok
		})
	}
	if err == nil {
		err = f.courseRow(b, c)
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
	} else if b.Grade != nil && err == nil {
		err = f.grades.apply(c, b.Key, func(values []cdc.Value, was gradeRow) (gradeRow, bool) {
			return f.readGrade(b, values, was, c.Old != nil)
		})
	}
	return err
}

// courseRow folds a change in the sections that say what courses are, who is in them, and
// who are admins.
func (f *fold) courseRow(b *profile.Binding, c *cdc.Change) error {
	if b.Course != nil {
		err := f.courses.apply(c, b.Key, func(values []cdc.Value, was course) (course, bool) {
			fields, ok := b.Course.Read(values, profile.CourseFields{Active: was.active})
			return course{fields.Active}, ok
		})
		if err != nil {
			return err
		}
	}
	for _, m := range b.Members {
		err := f.member(m.Index()).apply(c, b.Key, func(values []cdc.Value, was memberRow) (memberRow, bool) {
			now, ok := m.Read(values, was.one())
			if !ok || now == was.one() {
				return was, ok
			}
			return memberRow{string(appendMember(nil, now))}, true
		})
		if err != nil {
			return err
		}
	}
	for _, a := range b.Admins {
		err := f.admin(a.Index()).apply(c, b.Key, func(values []cdc.Value, was adminRow) (adminRow, bool) {
			users, ok := a.Read(values, was.list())
			return newAdminRow(users), ok
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// expired reports whether an assignment has closed by itself: its moment had passed by
// the commit, or it was told so and has not moved.
func (f *fold) expired(now profile.AssignmentFields, was assignment) bool {
	return !now.Closes.IsZero() && (!now.Closes.After(f.time) || was.expired && now.Closes.Equal(was.Closes))
}

// readThread reads a submission's row. A row that got another key has its score
// noted in any case: only its events know that it is not new. One that is gone when it
// is first seen has the marks that it has, so that it is as old as it is if it returns.
func (f *fold) readThread(b *profile.Binding, values []cdc.Value, was thread, moved bool) (thread, bool) {
	fields, ok := b.Submission.Read(values, profile.SubmissionFields{
		Assignment: was.assignment, Student: was.student, Tutor: was.tutor, Submitted: was.submitted, Gone: was.gone,
	})
	now := thread{
		assignment: fields.Assignment, student: fields.Student, tutor: fields.Tutor, group: fields.Group, attempt: fields.Attempt,
		submitted: was.submitted, graded: was.graded, gone: fields.Gone, hidden: was.hidden,
		score: was.score, auto: was.auto, name: was.name,
	}
	if now.gone && was != (thread{}) {
		return now, ok // frozen: what is restored later must not look new
	}
	if now.submitted = fields.Submitted; moved || now.submitted != was.submitted {
		now.name = fields.GroupName
	}
	if b.Grade != nil {
		now.graded = b.Grade.Read(values, was.graded)
		now.hidden = b.Grade.Hidden(values, was.hidden)
		if now.graded != 0 && (moved || now.graded != was.graded || was.hidden && !now.hidden) {
			f.buf = b.Grade.AppendScore(f.buf[:0], values)
			now.score, now.auto, now.name = string(f.buf), b.Grade.Auto(values, false), fields.GroupName
		}
	}
	return now, ok
}

// truncate folds TRUNCATE as the deletion of every row.
func (f *fold) truncate(b *profile.Binding) (err error) {
	for _, feed := range b.Feeds {
		o := f.held[feed.Index()]
		err = errors.Join(err, touchAll(f, o, []byte{keyHeld, byte(feed.Index())}), o.drop())
	}
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
	if b.Course != nil {
		err = errors.Join(err, touchAll(f, &f.courses, []byte{keyCourse}), f.courses.drop())
	}
	for _, m := range b.Members {
		o := f.member(m.Index())
		err = errors.Join(err, touchAll(f, o, []byte{keyMember, byte(m.Index())}), o.drop())
	}
	for _, a := range b.Admins {
		o := f.admin(a.Index())
		err = errors.Join(err, touchAll(f, o, []byte{keyAdminRow, byte(a.Index())}), o.drop())
	}
	if b.Assignment != nil {
		err = errors.Join(err, touchAll(f, &f.assignments, []byte{keyAssignment}), f.assignments.drop())
	}
	if b.Assigned != nil {
		err = errors.Join(err, touchAll(f, &f.given, []byte{keyGiven}), f.given.drop())
	}
	if b.Submission != nil {
		err = errors.Join(err, touchAll(f, &f.threads, []byte{keyThread}), f.threads.drop())
	} else if b.Grade != nil {
		err = errors.Join(err, touchAll(f, &f.grades, []byte{keyGrade}), f.grades.drop())
	}
	return err
}
