package projection

import (
	"cmp"
	"slices"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// changedRights lists the people whose role or activity the transaction changed.
func (f *fold) changedRights() []cdc.Person {
	var people []cdc.Person
	for _, r := range f.people.rows {
		if r.was.Role == r.now.Role && r.was.Active == r.now.Active {
			continue
		}
		person := r.now.Person
		person.ID = r.key
		people = append(people, person)
	}
	return people
}

// eventWriter numbers events and writes their bodies, as protocol.md gives them. A
// nil one writes nothing: a snapshot is not news.
type eventWriter struct {
	fold      *fold
	commit    cdc.LSN
	time      time.Time
	recovered bool   // it happened while the log was not to be had
	byClock   bool   // assignments close because their moment has come
	first     uint32 // number before the first event
	last      uint32 // number of the last event
	kinds     [len(cdc.Kinds) + 1]uint64
	heard     [len(Hearings)]uint64
	buf       []byte

	events []*cdc.Event
	// ahead takes the events of a large transaction instead: they go into the history
	// before it is true, where nobody looks yet. nil: it is not large.
	ahead *pieces
	err   error
}

// begin answers the writer for the events at one position. A commit may begin at the
// very byte at which something else was told before it: then its events go on from
// there.
func (f *fold) begin(commit cdc.LSN) *eventWriter {
	f.writer = eventWriter{fold: f, commit: commit, time: f.time, buf: f.writer.buf}
	if f.p.told.LSN == commit {
		f.writer.first = f.p.told.Index
	}
	f.writer.last = f.writer.first
	return &f.writer
}

// before is the position that the writer's events come behind.
func (w *eventWriter) before() cdc.Position { return cdc.Position{LSN: w.commit, Index: w.first} }

// newest is the position of the newest event there is.
func (w *eventWriter) newest() cdc.Position {
	if w.last == w.first {
		return w.fold.p.told
	}
	return w.position()
}

func (w *eventWriter) createdAll(f *fold) {
	if w == nil {
		return
	}
	for _, r := range f.assignments.rows {
		if before, _ := r.before(); r.exists && r.now.created && !before.created {
			w.created(r.key, r.now, f.reached(r.key))
		}
	}
}

// thread tells what is new about a thread to those whose scopes it counts in.
func (w *eventWriter) thread(r *touched[thread], scopes []scope) {
	if w == nil || !r.exists || r.now.gone {
		return
	}
	before, _ := r.before()
	if r.now.submitted != 0 && r.now.submitted != before.submitted {
		w.submitted(r.key, r.now, scopes)
	}
	switch {
	case r.now.graded == 0, w.fold.p.profile.HasGradeTable(): // grades have rows of their own
	case r.now.graded != before.graded:
		w.graded(r.key, r.now, scopes)
	case before.hidden && !r.now.hidden:
		w.graded(r.key, r.now, onlyStudents(scopes))
	}
}

func (w *eventWriter) closedAll(f *fold) {
	if w == nil {
		return
	}
	for _, r := range f.assignments.rows {
		if r.moved {
			continue // it lives on under another key
		}
		before, _ := r.before()
		switch {
		case !before.open() || r.now.open():
		case r.exists:
			w.closed(r.key, r.now, f.reached(r.key))
		default:
			w.closed(r.key, before, f.reached(r.key))
		}
	}
}

// failed is what went wrong with the events that went ahead.
func (w *eventWriter) failed() error {
	if w == nil {
		return nil
	}
	if w.ahead != nil && w.err == nil {
		w.err = w.ahead.flush()
	}
	return w.err
}

func (w *eventWriter) created(id cdc.ID, a assignment, reached []scope) {
	if w.fold.muted(a.Course) {
		return
	}
	w.begin(cdc.Assignment)
	w.id("assignment_id", id)
	w.field("title")
	w.buf = cdc.AppendJSONString(w.buf, a.Title)
	w.field("description")
	w.buf = cdc.AppendJSONString(w.buf, a.Description)
	w.field("due_date")
	if a.Due.IsZero() {
		w.buf = append(w.buf, "null"...)
	} else {
		w.buf = cdc.AppendJSONTime(w.buf, a.Due)
	}
	w.end(cdc.Assignment, id, w.concerned(a, reached))
}

func (w *eventWriter) submitted(id cdc.ID, t thread, scopes []scope) {
	about := w.fold.heading(t.assignment)
	if w.fold.muted(about.course) {
		return
	}
	w.work(cdc.Submission, id, t, about)
	w.end(cdc.Submission, t.assignment, w.fold.audience(withoutStudents(scopes)))
}

func (w *eventWriter) graded(id cdc.ID, t thread, scopes []scope) {
	about := w.fold.heading(t.assignment)
	if w.fold.muted(about.course) || len(scopes) == 0 {
		return
	}
	w.work(cdc.Grade, id, t, about)
	w.field("grade")
	w.buf = append(w.buf, cmp.Or(t.score, "null")...)
	if t.auto {
		w.field("automatic")
		w.buf = append(w.buf, "true"...)
	}
	if t.hidden {
		scopes = withoutStudents(scopes)
	}
	w.end(cdc.Grade, t.assignment, w.fold.audience(scopes))
}

func isStudent(s scope) bool { return s.kind == scopeStudent }

func withoutStudents(scopes []scope) []scope {
	if !slices.ContainsFunc(scopes, isStudent) {
		return scopes
	}
	return slices.DeleteFunc(slices.Clone(scopes), isStudent)
}

func onlyStudents(scopes []scope) []scope {
	return slices.DeleteFunc(slices.Clone(scopes), func(s scope) bool { return !isStudent(s) })
}

// concerned is the audience of an assignment.
func (w *eventWriter) concerned(a assignment, reached []scope) cdc.Audience {
	audience, err := w.fold.concerned(a.heading(), reached)
	if w.err == nil {
		w.err = err
	}
	return audience
}

// work begins an event about a submission: which, of what, by whom.
func (w *eventWriter) work(kind cdc.Kind, id cdc.ID, t thread, about heading) {
	w.begin(kind)
	w.id("submission_id", id)
	w.id("assignment_id", t.assignment)
	w.title(about.title)
	w.author(t, about)
}

func (w *eventWriter) closed(id cdc.ID, a assignment, reached []scope) {
	if w.fold.muted(a.Course) {
		return
	}
	if w.byClock {
		w.time = a.Closes
	}
	w.begin(cdc.AssignmentClosed)
	w.id("assignment_id", id)
	w.title(a.Title)
	w.end(cdc.AssignmentClosed, id, w.concerned(a, reached))
}

func (w *eventWriter) begin(kind cdc.Kind) {
	w.last++
	w.buf = append(w.buf[:0], `{"type":"`...)
	w.buf = append(w.buf, kind.String()...)
	w.buf = append(w.buf, `","id":"`...)
	w.buf = w.position().Append(w.buf)
	w.buf = append(w.buf, '"')
}

func (w *eventWriter) position() cdc.Position { return cdc.Position{LSN: w.commit, Index: w.last} }

func (w *eventWriter) field(name string) {
	w.buf = append(w.buf, ',', '"')
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, '"', ':')
}

func (w *eventWriter) id(name string, id cdc.ID) {
	w.field(name)
	w.buf = id.AppendJSON(w.buf)
}

// title is a field that only we add: a client cannot know the titles of all
// assignments that were there before it.
func (w *eventWriter) title(title string) {
	w.field("assignment_title")
	w.buf = cdc.AppendJSONString(w.buf, title)
}

// author says whose work it is. A team is named in the place of the student, so that
// clients which know of no teams show it, and beside them.
func (w *eventWriter) author(t thread, about heading) {
	switch {
	case about.anonymous:
		w.student(cdc.ID{}, cdc.Person{})
	case t.group.IsZero():
		w.student(t.student, w.fold.person(t.student))
	default:
		w.student(cdc.ID{}, cdc.Person{FirstName: t.name})
		w.field("group")
		w.buf = append(w.buf, `{"id":`...)
		w.buf = t.group.AppendJSON(w.buf)
		w.field("name")
		w.buf = cdc.AppendJSONString(w.buf, t.name)
		w.buf = append(w.buf, '}')
	}
}

func (w *eventWriter) student(id cdc.ID, person cdc.Person) {
	w.field("student")
	w.buf = append(w.buf, `{"id":`...)
	w.buf = id.AppendJSON(w.buf)
	w.field("email")
	w.buf = cdc.AppendJSONString(w.buf, person.Email)
	w.field("first_name")
	w.buf = cdc.AppendJSONString(w.buf, person.FirstName)
	w.field("last_name")
	w.buf = cdc.AppendJSONString(w.buf, person.LastName)
	w.buf = append(w.buf, '}')
}

func (w *eventWriter) end(kind cdc.Kind, assignment cdc.ID, audience cdc.Audience) {
	w.field("timestamp")
	w.buf = cdc.AppendJSONTime(w.buf, w.time)
	if w.recovered {
		w.field("recovered")
		w.buf = append(w.buf, "true"...)
	}
	w.buf = append(w.buf, '}')
	w.kinds[kind]++
	event := cdc.Event{
		Position: w.position(), Kind: kind, Time: w.time,
		Assignment: assignment, Audience: audience, Body: w.buf,
	}
	if w.ahead == nil {
		event.Body = slices.Clone(w.buf)
		w.events = append(w.events, &event)
		return
	}
	w.ahead.batch().Append(&event)
	if w.err == nil {
		w.err = w.ahead.mayFlush()
	}
}
