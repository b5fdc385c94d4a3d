package projection

import (
	"encoding/binary"
	"slices"

	"github.com/schoolbell/schoolbell/cdc"
)

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

// countThread turns a touched thread into differences of the counts. now are the scopes
// that it counts in by the end of the transaction.
func (f *fold) countThread(r *touched[thread], now []scope) (err error) {
	was := f.scopesBefore[:0]
	if r.existed && !r.was.gone {
		of := f.p.assignments[r.was.assignment]
		if was, err = f.scopesOf(was, r.was, of, atStart); err != nil {
			return err
		}
		f.scopesBefore = was
	}
	same := r.was.student == r.now.student
	for _, s := range was {
		f.addThread(s, r.was, -1)
		if !same || !slices.Contains(now, s) {
			f.actives.add(s, r.was.student, -1)
		}
	}
	for _, s := range now {
		f.addThread(s, r.now, +1)
		if !same || !slices.Contains(was, s) {
			f.actives.add(s, r.now.student, +1)
		}
	}
	return nil
}

func (f *fold) addThread(s scope, t thread, n int64) {
	graded := t.graded != 0 && !(t.hidden && s.kind == scopeStudent)
	switch {
	case t.submitted == 0:
		f.delta(s).PendingSubmissions += n
	case !graded:
		f.delta(s).UngradedSubmissions += n
	}
}

// countAssignments turns touched assignments and what is given to whom into
// differences of the counts.
func (f *fold) countAssignments() error {
	err := f.given.visit(func(r *touched[given]) error {
		f.note(unchanged(r))
		if r.existed {
			if err := f.addReach(r.was, atStart, -1); err != nil {
				return err
			}
			if err := f.addLast(r); err != nil {
				return err
			}
		}
		if r.exists {
			return f.addReach(r.now, atEnd, +1)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range f.assignments.rows {
		f.note(unchanged(r))
		was, now := r.was.heading(), r.now.heading()
		if r.existed != r.exists || r.was.created != r.now.created || r.was.open() != r.now.open() ||
			was.course != now.course || was.published != now.published || was.gone != now.gone {
			// Whoever it reaches gains or loses an assignment, or hears of it.
			if err := f.loadReach(r.key); err != nil {
				return err
			}
		}
		if err := f.countAssignment(r.key, change[heading]{was, now}, change[bool]{r.existed && !was.gone, r.exists && !now.gone}); err != nil {
			return err
		}
	}
	for id := range f.reaches {
		if _, ok := f.assignments.index[id]; ok {
			continue
		}
		of, ok := f.p.assignments[id]
		ok = ok && !of.gone
		if err := f.countAssignment(id, change[heading]{of, of}, change[bool]{ok, ok}); err != nil {
			return err
		}
	}
	return nil
}

// countAssignment counts one assignment for whoever begins or ceases to see it.
func (f *fold) countAssignment(id cdc.ID, of change[heading], there change[bool]) error {
	var was, now []scope
	if there.was {
		was = f.direct(nil, of.was, atStart)
	}
	if there.now {
		now = f.direct(nil, of.now, atEnd)
	}
	var err error
	if was, now, err = f.toCourse(was, now, of, there); err != nil {
		return err
	}
	scopes := slices.Concat(was, now)
	for s := range f.reaches[id] {
		scopes = append(scopes, s)
	}
	slices.SortFunc(scopes, scope.compare)
	for _, s := range slices.Compact(scopes) {
		saw, sees := slices.Contains(was, s), slices.Contains(now, s)
		if saw && sees {
			continue
		}
		if f.isReached(s) {
			n, err := f.reach(id, s)
			if err != nil {
				return err
			}
			saw = saw || there.was && n.was > 0 && of.was.shows(s)
			sees = sees || there.now && n.now > 0 && of.now.shows(s)
		}
		f.delta(s).TotalAssignments += one(sees) - one(saw)
	}
	return nil
}

func one(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// toCourse adds the students of the course, where an assignment is given to all of them:
// those who begin or cease to see it, but for those who see it either way.
func (f *fold) toCourse(was, now []scope, of change[heading], there change[bool]) (w, n []scope, err error) {
	if !f.p.cfg.Students || f.p.profile.HasAssigned() {
		return was, now, nil
	}
	saw, sees := there.was && of.was.published, there.now && of.now.published
	if saw && sees && of.was.course == of.now.course {
		for s, c := range f.seats {
			if s.course != of.now.course {
				continue
			}
			if len(c.was) > 0 {
				was = append(was, scope{scopeStudent, s.student})
			}
			if len(c.now) > 0 {
				now = append(now, scope{scopeStudent, s.student})
			}
		}
		return was, now, nil
	}
	if saw {
		if was, err = f.addStudents(was, of.was.course, atStart); err != nil {
			return was, now, err
		}
	}
	if sees {
		now, err = f.addStudents(now, of.now.course, atEnd)
	}
	return was, now, err
}

// addStudents adds the scopes of a course's students.
func (f *fold) addStudents(dst []scope, course cdc.ID, when at) ([]scope, error) {
	students, err := f.studentsOf(course, when)
	for _, student := range students {
		dst = append(dst, scope{scopeStudent, student})
	}
	return dst, err
}

// shows reports whether an assignment that reaches somebody is there for them already.
func (h heading) shows(s scope) bool { return h.published || s.kind != scopeStudent }

// isReached reports whether the scope may hold an assignment for the students to whom it
// is given.
func (f *fold) isReached(s scope) bool {
	return f.p.profile.HasAssigned() && (s.kind == scopeTutor || s.kind == scopeStaff || s.kind == scopeStudent)
}

// addReach adds n to the reach of an assignment that is given to a student.
func (f *fold) addReach(g given, when at, n int32) error {
	scopes, err := f.tutorsOf(nil, g.student, f.headingAt(g.assignment, when), when)
	if err != nil {
		return err
	}
	for _, s := range scopes {
		t, err := f.reach(g.assignment, s)
		if err != nil {
			return err
		}
		t.now += n
	}
	return nil
}

// addLast notes for whom a given assignment goes that the transaction deletes: its rows
// go with it, so it is those to whom it was given, as they stand by the end.
func (f *fold) addLast(r *touched[given]) error {
	id := r.was.assignment
	gone, ok := f.assignments.index[id]
	if !ok || gone.exists || gone.moved || !gone.was.open() {
		return nil
	}
	scopes, err := f.tutorsOf(nil, r.was.student, gone.was.heading(), atEnd)
	if f.last[id] == nil {
		f.last[id] = map[scope]struct{}{}
	}
	for _, s := range scopes {
		f.last[id][s] = struct{}{}
	}
	return err
}

// reached lists the scopes that see the assignment by the end of the transaction because
// of whom it is given to. settle has brought them all into the fold where the
// assignment's state changed.
func (f *fold) reached(id cdc.ID) (scopes []scope) {
	for s, n := range f.reaches[id] {
		if n.now > 0 {
			scopes = append(scopes, s)
		}
	}
	for s := range f.last[id] {
		scopes = append(scopes, s)
	}
	return scopes
}

// reach tallies by how many students to whom it is given a scope sees the assignment.
func (f *fold) reach(assignment cdc.ID, s scope) (*tally, error) {
	scopes, ok := f.reaches[assignment]
	if !ok {
		scopes = map[scope]*tally{}
		f.reaches[assignment] = scopes
	}
	if t, ok := scopes[s]; ok {
		return t, nil
	}
	was, err := f.p.number(s.append(appendKey(nil, keyReach, assignment)))
	if err != nil {
		return nil, err
	}
	t := &tally{was, was}
	scopes[s] = t
	return t, nil
}

// loadReach brings every scope that the assignment reaches into the fold.
func (f *fold) loadReach(id cdc.ID) error {
	if f.fresh {
		return nil // no row that gives it to anybody has been read yet
	}
	return f.p.scan(appendKey(nil, keyReach, id), func(key, _ []byte) error {
		s, err := readScope(key)
		if err != nil {
			return err
		}
		_, err = f.reach(id, s)
		return err
	})
}

// delta answers the difference that the transaction makes to a scope's counts.
func (f *fold) delta(s scope) *cdc.Counts {
	d, ok := f.deltas[s]
	if !ok {
		d = f.spareCounts.take()
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
