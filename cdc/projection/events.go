package projection

import (
	"cmp"
	"slices"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// events lists what the settled transaction meant: what was created, then what
// was handed in and graded, then what closed, each in the order of first touch.
func (f *fold) events(commit cdc.LSN, at time.Time) []*cdc.Event {
	w := eventWriter{fold: f, commit: commit, time: at}
	for _, r := range f.assignments.rows {
		if before, _ := r.before(); r.exists && r.now.created && !before.created {
			w.created(r.key, r.now)
		}
	}
	for _, r := range f.threads.rows {
		if !r.exists || r.now.gone {
			continue
		}
		before, _ := r.before()
		if r.now.submitted != 0 && r.now.submitted != before.submitted {
			w.submitted(r.key, r.now)
		}
		if r.now.graded != 0 && r.now.graded != before.graded {
			w.graded(r.key, r.now)
		}
	}
	for _, r := range f.assignments.rows {
		if r.moved {
			continue // it lives on under another key
		}
		if before, _ := r.before(); before.open() && !r.now.open() {
			w.closed(r, before)
		}
	}
	return w.events
}

// changedRights lists the people whose role or activity the transaction changed.
func (f *fold) changedRights() []cdc.Person {
	var people []cdc.Person
	for _, r := range f.people.rows {
		if r.was.Role == r.now.Role && r.was.Active == r.now.Active {
			continue
		}
		person := r.now
		person.ID = r.key
		people = append(people, person)
	}
	return people
}

// eventWriter numbers events and writes their bodies, as protocol.md gives them.
type eventWriter struct {
	fold   *fold
	commit cdc.LSN
	time   time.Time
	events []*cdc.Event
	buf    []byte
}

func (w *eventWriter) created(id cdc.ID, a assignment) {
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
	w.end(cdc.Assignment, id, w.fold.concerned(a.Teacher, w.fold.tutorsOf(id)))
}

func (w *eventWriter) submitted(id cdc.ID, t thread) {
	w.begin(cdc.Submission)
	about := w.fold.heading(t.assignment)
	w.work(id, t, about)
	w.end(cdc.Submission, t.assignment, w.fold.concerned(about.teacher, []cdc.ID{t.tutor}))
}

func (w *eventWriter) graded(id cdc.ID, t thread) {
	w.begin(cdc.Grade)
	about := w.fold.heading(t.assignment)
	w.work(id, t, about)
	w.field("grade")
	w.buf = append(w.buf, cmp.Or(w.fold.scores[id], "null")...)
	w.end(cdc.Grade, t.assignment, w.fold.concerned(about.teacher, []cdc.ID{t.tutor}))
}

// work names a submission: which, of what, by whom.
func (w *eventWriter) work(id cdc.ID, t thread, about heading) {
	w.id("submission_id", id)
	w.id("assignment_id", t.assignment)
	w.title(about.title)
	w.student(t.student)
}

// title is a field that only we add: a client cannot know the titles of all
// assignments that were there before it.
func (w *eventWriter) title(title string) {
	w.field("assignment_title")
	w.buf = cdc.AppendJSONString(w.buf, title)
}

// closed concerns those who could see the assignment: when it was deleted, its
// rows are gone with it, so it is those from before the transaction.
func (w *eventWriter) closed(r *touched[assignment], before assignment) {
	w.begin(cdc.AssignmentClosed)
	about, tutors := before.heading(), []cdc.ID(nil)
	if r.exists {
		about, tutors = r.now.heading(), w.fold.tutorsOf(r.key)
	} else {
		tutors = w.fold.tutorsBefore(r.key)
	}
	w.id("assignment_id", r.key)
	w.title(about.title)
	w.end(cdc.AssignmentClosed, r.key, w.fold.concerned(about.teacher, tutors))
}

func (w *eventWriter) begin(kind cdc.Kind) {
	w.buf = append(w.buf[:0], `{"type":"`...)
	w.buf = append(w.buf, kind.String()...)
	w.buf = append(w.buf, `","id":"`...)
	w.buf = w.position().Append(w.buf)
	w.buf = append(w.buf, '"')
}

func (w *eventWriter) position() cdc.Position {
	return cdc.Position{LSN: w.commit, Index: uint32(len(w.events)) + 1}
}

func (w *eventWriter) field(name string) {
	w.buf = append(w.buf, ',', '"')
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, '"', ':')
}

func (w *eventWriter) id(name string, id cdc.ID) {
	w.field(name)
	w.buf = id.AppendJSON(w.buf)
}

func (w *eventWriter) student(id cdc.ID) {
	person := w.fold.person(id)
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
	w.buf = append(w.buf, '}')
	w.events = append(w.events, &cdc.Event{
		Position: w.position(), Kind: kind, Time: w.time,
		Assignment: assignment, Audience: audience, Body: slices.Clone(w.buf),
	})
}

// concerned is the audience of something: its teacher and the tutors, those of
// them who may see it in that role by the end of the transaction, and the admins.
func (f *fold) concerned(teacher cdc.ID, tutors []cdc.ID) cdc.Audience {
	audience := cdc.Audience{Admins: true}
	if p := f.person(teacher); p.Active && p.Role == cdc.Teacher {
		audience.People = append(audience.People, teacher)
	}
	for _, tutor := range tutors {
		if p := f.person(tutor); p.Active && p.Role == cdc.Tutor {
			audience.People = append(audience.People, tutor)
		}
	}
	slices.SortFunc(audience.People, cdc.ID.Compare)
	audience.People = slices.Compact(audience.People)
	return audience
}

// tutorsOf lists the tutors of the students to whom the assignment is given by
// the end of the transaction. settle has brought them all into the fold where the
// assignment's state changed.
func (f *fold) tutorsOf(id cdc.ID) (tutors []cdc.ID) {
	for tutor, n := range f.reaches[id] {
		if n.now > 0 {
			tutors = append(tutors, tutor)
		}
	}
	return tutors
}

// tutorsBefore lists the tutors of the students to whom the assignment was given
// before the transaction.
func (f *fold) tutorsBefore(id cdc.ID) (tutors []cdc.ID) {
	for tutor, n := range f.reaches[id] {
		if n.was > 0 {
			tutors = append(tutors, tutor)
		}
	}
	return tutors
}
