package projection

import (
	"encoding/binary"

	"github.com/schoolbell/schoolbell/cdc"
)

// scope is what one person's counts range over.
type scope struct {
	kind   byte
	person cdc.ID
}

const (
	scopeAll     = 'A' // everything: admins
	scopeTeacher = 'T' // the assignments that the person owns
	scopeTutor   = 'U' // the students of the person
)

func (s scope) append(dst []byte) []byte { return s.person.AppendKey(append(dst, s.kind)) }

func readScope(key []byte) (scope, error) {
	r := reader{b: key}
	s := scope{kind: r.byte(), person: r.id()}
	return s, r.end()
}

// tally is a number before and after the transaction at hand.
type tally struct{ was, now int32 }

// appeared is +1 when the number left zero, -1 when it came to zero, else 0.
func (t tally) appeared() int64 { return sign(t.now) - sign(t.was) }

func sign(n int32) int64 { return int64(min(max(n, 0), 1)) }

// append writes the number after the transaction; zero needs no entry.
func (t tally) append(dst []byte) []byte {
	if t.now == 0 {
		return dst
	}
	return binary.AppendVarint(dst, int64(t.now))
}

// scopesOf lists the scopes that a thread counts in; an absent teacher or tutor
// leaves a zero scope.
func scopesOf(t thread, teacher cdc.ID) [3]scope {
	s := [3]scope{{kind: scopeAll}}
	if !teacher.IsZero() {
		s[1] = scope{kind: scopeTeacher, person: teacher}
	}
	if !t.tutor.IsZero() {
		s[2] = scope{kind: scopeTutor, person: t.tutor}
	}
	return s
}

// countThread turns a touched thread into differences of the counts.
func (f *fold) countThread(r *touched[thread]) {
	counted, counts := r.existed && !r.was.gone, r.exists && !r.now.gone
	var was, now [3]scope
	if counted {
		was = scopesOf(r.was, f.teacherBefore(r.was.assignment))
	}
	if counts {
		now = scopesOf(r.now, f.teacher(r.now.assignment))
	}
	for i := range was {
		f.addThread(was[i], r.was, -1)
		f.addThread(now[i], r.now, +1)
		if was[i] == now[i] && r.was.student == r.now.student {
			continue // still the same student in the same scope
		}
		f.actives.add(was[i], r.was.student, -1)
		f.actives.add(now[i], r.now.student, +1)
	}
}

func (f *fold) addThread(s scope, t thread, n int64) {
	switch {
	case s == scope{}:
	case t.submitted == 0:
		f.delta(s).PendingSubmissions += n
	case t.graded == 0:
		f.delta(s).UngradedSubmissions += n
	}
}

// countAssignments turns touched assignments and what is given to whom into
// differences of the counts.
func (f *fold) countAssignments() error {
	err := f.given.visit(func(r *touched[given]) error {
		f.note(unchanged(r))
		if err := f.addReach(r.was, r.existed, f.tutorBefore(r.was.student), -1); err != nil {
			return err
		}
		return f.addReach(r.now, r.exists, f.tutor(r.now.student), +1)
	})
	if err != nil {
		return err
	}
	for _, r := range f.assignments.rows {
		f.note(unchanged(r))
		if r.existed {
			f.addAssignment(r.was.Teacher, -1)
		}
		if r.exists {
			f.addAssignment(r.now.Teacher, +1)
		}
		if r.existed != r.exists || r.was.created != r.now.created || r.was.open() != r.now.open() {
			// Whoever it reaches gains or loses an assignment, or hears of it.
			if err := f.loadReach(r.key); err != nil {
				return err
			}
		}
	}
	for id, tutors := range f.reaches {
		_, existed := f.p.assignments[id]
		exists := f.exists(id)
		for tutor, n := range tutors {
			saw, sees := existed && n.was > 0, exists && n.now > 0
			switch {
			case sees && !saw:
				f.delta(scope{scopeTutor, tutor}).TotalAssignments++
			case saw && !sees:
				f.delta(scope{scopeTutor, tutor}).TotalAssignments--
			}
		}
	}
	return nil
}

func (f *fold) addAssignment(teacher cdc.ID, n int64) {
	f.delta(scope{kind: scopeAll}).TotalAssignments += n
	if !teacher.IsZero() {
		f.delta(scope{scopeTeacher, teacher}).TotalAssignments += n
	}
}

func (f *fold) addReach(g given, live bool, tutor cdc.ID, n int32) error {
	if !live || tutor.IsZero() {
		return nil
	}
	t, err := f.reach(g.assignment, tutor)
	if err == nil {
		t.now += n
	}
	return err
}

// reach tallies how many of the tutor's students the assignment is given to.
func (f *fold) reach(assignment, tutor cdc.ID) (*tally, error) {
	tutors, ok := f.reaches[assignment]
	if !ok {
		tutors = map[cdc.ID]*tally{}
		f.reaches[assignment] = tutors
	}
	if t, ok := tutors[tutor]; ok {
		return t, nil
	}
	was, err := f.p.number(appendKey(nil, keyAssignmentTutor, assignment, tutor))
	if err != nil {
		return nil, err
	}
	t := &tally{was, was}
	tutors[tutor] = t
	return t, nil
}

// loadReach brings every tutor whom the assignment reaches into the fold.
func (f *fold) loadReach(id cdc.ID) error {
	if f.fresh {
		return nil // no row that gives it to anybody has been read yet
	}
	return f.p.scan(appendKey(nil, keyAssignmentTutor, id), func(key, _ []byte) error {
		tutor, _, err := cdc.CutKey(key)
		if err != nil {
			return err
		}
		_, err = f.reach(id, tutor)
		return err
	})
}

// delta answers the difference that the transaction makes to a scope's counts.
func (f *fold) delta(s scope) *cdc.Counts {
	d, ok := f.deltas[s]
	if !ok {
		d = &cdc.Counts{}
		f.deltas[s] = d
	}
	return d
}

func add(a, b cdc.Counts) cdc.Counts {
	return cdc.Counts{
		PendingSubmissions:  a.PendingSubmissions + b.PendingSubmissions,
		UngradedSubmissions: a.UngradedSubmissions + b.UngradedSubmissions,
		ActiveStudents:      a.ActiveStudents + b.ActiveStudents,
		TotalAssignments:    a.TotalAssignments + b.TotalAssignments,
	}
}
