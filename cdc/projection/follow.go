package projection

import "github.com/schoolbell/schoolbell/cdc"

// A transaction that changes whose assignment it is, or whose student, changes who counts
// and hears of rows that it does not touch. Those are touched here, before anything is
// counted; members.go does the same for who is in which course.

// followTeachers settles which assignments have been created, and touches what belongs
// to those that another teacher owns now, or another course.
func (f *fold) followTeachers() error {
	for _, r := range f.assignments.rows {
		if r.exists {
			before, _ := r.before()
			r.now.created = before.created || r.now.Published
		}
		if f.fresh {
			continue
		}
		if r.was.Teacher != r.now.Teacher || r.was.Course != r.now.Course || r.was.BySection != r.now.BySection {
			if err := touchAll(f, &f.threads, appendKey(nil, keyAssignThread, r.key)); err != nil {
				return err
			}
		}
		if r.was.Course != r.now.Course || r.was.BySection != r.now.BySection {
			if err := touchAll(f, &f.given, appendKey(nil, keyAssignmentGiven, r.key)); err != nil {
				return err
			}
		}
	}
	return nil
}

// followTutors touches the threads of students who have another tutor now, and
// what is given to them.
func (f *fold) followTutors() error {
	index, column, ok := f.p.profile.TutorPath()
	if !ok || index >= len(f.found) {
		return nil
	}
	if f.found[index] == nil {
		return nil
	}
	students := f.found[index].keys
	for _, student := range students {
		if rows := f.find(index, student); len(rows) > 0 {
			f.tutors[student] = rows[0].record.ID(column)
		} else {
			f.tutors[student] = cdc.ID{}
		}
	}
	if f.fresh {
		return nil
	}
	for _, student := range students {
		if f.tutor(student) == f.tutorBefore(student) {
			continue
		}
		if err := f.touchStudent(student); err != nil {
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

// followTutor notes whose student's thread it is by the end of the transaction.
func (f *fold) followTutor(r *touched[thread]) {
	if _, _, byStudent := f.p.profile.TutorPath(); r.exists && byStudent {
		r.now.tutor = f.tutor(r.now.student)
	}
}
