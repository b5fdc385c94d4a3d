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

	people      overlay[person]
	courses     overlay[course]
	assignments overlay[assignment]
	given       overlay[given]
	threads     overlay[thread]
	grades      overlay[gradeRow] // of a table of their own
	lookups     []*overlay[lookupRow]
	members     []*overlay[memberRow]
	adminRows   []*overlay[adminRow]
	held        []*overlay[heldRow] // by profile.Derived's index

	finder                  finder
	evaluators              []*profile.Evaluator        // by derived section
	isDerived               []bool                      // by lookup: it is a derived section
	found                   []*lookupChange             // by lookup; nil: it is as it was
	postponed               []bool                      // derived sections that a snapshot reads later; see latecomers.go
	gradings                map[cdc.ID]*change[grading] // of the links that changed
	linked                  map[cdc.ID][]cdc.ID         // touched threads in memory by link, where grades ask for them
	tutors                  map[cdc.ID]cdc.ID           // of students whose tutor may have changed: the tutor now
	actives                 actives
	teams                   map[cdc.ID]change[team]       // of the courses whose staff's rows changed
	seats                   map[seat]change[enrolment]    // of the students whose rows changed
	reaches                 map[cdc.ID]map[scope]*tally   // of an assignment: by how many students to whom it is given the scope sees it
	last                    map[cdc.ID]map[scope]struct{} // of a deleted assignment: who saw it by the students to whom it was given
	deltas                  map[scope]*cdc.Counts
	spareCounts             spares[cdc.Counts] // that deltas had
	turns                   map[cdc.ID]turns
	standings               map[cdc.ID]*change[standing]
	scopesBefore, scopesNow []scope // of the thread at hand

	changes uint64 // of rows
	touched uint64 // rows
	noops   uint64 // of them, those left as they were
	key     []byte // scratch
	buf     []byte // scratch
	writer  eventWriter

	take   func(*cdc.Change, error) bool // folds a change of the transaction
	broken error                         // why it broke off
}

func (f *fold) init(p *Projection) {
	f.p = p
	f.take = func(c *cdc.Change, err error) bool {
		if err == nil {
			err = f.change(c)
		}
		f.broken = err
		return err == nil
	}
	f.tutors = map[cdc.ID]cdc.ID{}
	f.teams = map[cdc.ID]change[team]{}
	f.seats = map[seat]change[enrolment]{}
	f.reaches = map[cdc.ID]map[scope]*tally{}
	f.last = map[cdc.ID]map[scope]struct{}{}
	f.deltas = map[scope]*cdc.Counts{}
	f.turns = map[cdc.ID]turns{}
	f.standings = map[cdc.ID]*change[standing]{}
	f.gradings = map[cdc.ID]*change[grading]{}
	f.linked = map[cdc.ID][]cdc.ID{}
	f.finder = finder{fold: f, seen: map[string]struct{}{}}
	f.postponed = make([]bool, len(p.derived))
	f.isDerived = make([]bool, p.profile.Lookups())
	for i, d := range p.derived {
		if kind, entry := d.Section(); kind == profile.SectionLookup {
			f.isDerived[entry] = true
		}
		f.evaluators = append(f.evaluators, d.Evaluator())
		table := heldTable(i)
		f.held = append(f.held, &overlay[heldRow]{
			load: func(id cdc.ID) (heldRow, bool, error) {
				return load(f, id.AppendKey([]byte{keyHeld, byte(i)}), readHeld)
			},
			aside: &aside[heldRow]{p: p, table: table},
		})
	}
	f.people.load = func(id cdc.ID) (person, bool, error) {
		person, ok := p.people[id]
		return person, ok, nil
	}
	f.courses.load = func(id cdc.ID) (course, bool, error) { return get(f, keyCourse, id, readCourse) }
	f.assignments.load = func(id cdc.ID) (assignment, bool, error) { return get(f, keyAssignment, id, readAssignment) }
	f.given.load = func(id cdc.ID) (given, bool, error) { return get(f, keyGiven, id, readGiven) }
	f.threads.load = func(id cdc.ID) (thread, bool, error) { return get(f, keyThread, id, readThread) }
	f.grades.load = func(id cdc.ID) (gradeRow, bool, error) { return get(f, keyGrade, id, readGradeRow) }
	f.grades.aside = &aside[gradeRow]{p: p, table: gradeTable()}
	f.given.aside = &aside[given]{p: p, table: givenTable()}
	f.threads.aside = &aside[thread]{p: p, table: threadTable(p.profile)}
}

// get reads a record from the store.
func get[T any](f *fold, letter byte, id cdc.ID, read func([]byte) (T, error)) (record T, ok bool, err error) {
	f.key = appendKey(f.key[:0], letter, id)
	return load(f, f.key, read)
}

func load[T any](f *fold, key []byte, read func([]byte) (T, error)) (record T, ok bool, err error) {
	if f.fresh {
		return record, false, nil
	}
	if f.buf, ok, err = f.p.get(key, f.buf[:0]); err != nil || !ok {
		return record, false, err
	}
	record, err = read(f.buf)
	return record, err == nil, err
}

func (f *fold) reset() {
	f.people.reset()
	f.courses.reset()
	f.assignments.reset()
	f.given.reset()
	f.threads.reset()
	f.grades.reset()
	for _, h := range f.held {
		h.reset()
	}
	for _, l := range f.lookups {
		l.reset()
	}
	for _, m := range f.members {
		m.reset()
	}
	for _, a := range f.adminRows {
		a.reset()
	}
	clear(f.tutors)
	clear(f.found)
	clear(f.gradings)
	clear(f.linked)
	clear(f.teams)
	clear(f.seats)
	clear(f.standings)
	f.actives.reset()
	clear(f.reaches)
	clear(f.last)
	for _, d := range f.deltas {
		f.spareCounts.keep(d)
	}
	clear(f.deltas)
	clear(f.turns)
	f.changes, f.touched, f.noops = 0, 0, 0
}

// lookup answers the overlay of a lookup table, making those up to it.
func (f *fold) lookup(index int) *overlay[lookupRow] {
	for len(f.lookups) <= index {
		table := f.p.lookup(len(f.lookups))
		f.lookups = append(f.lookups, &overlay[lookupRow]{load: func(id cdc.ID) (lookupRow, bool, error) {
			record, ok := table.rows[id]
			return newLookupRow(record), ok, nil
		}})
	}
	return f.lookups[index]
}

// read folds the changes of a transaction.
func (f *fold) read(tx *cdc.Tx) error {
	f.broken = nil
	tx.Changes(f.take) // which, other than the body of a loop over it, is made once
	return f.broken
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
		err = errors.Join(f.makeRoom(), f.makeHeldRoom())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.Table.Name, err)
	}
	return nil
}

// touchAll touches every stored row below a prefix whose keys go on with the
// row's key.
func touchAll[T comparable](f *fold, o *overlay[T], prefix []byte) error {
	return f.p.scan(prefix, func(key, _ []byte) error {
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
	for _, follow := range []func() error{f.derive, f.followMembers, f.followTutors, f.followTeachers, f.followGrades, f.followStandings} {
		if err := follow(); err != nil {
			return err
		}
	}
	if f.large() {
		if err := errors.Join(f.putAside(), f.putHeldAside()); err != nil {
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
	links := pieces{p: f.p}
	err := f.threads.visit(func(r *touched[thread]) error {
		f.followTutor(r)
		if err := f.followGrade(r); err != nil {
			return err
		}
		now := f.scopesNow[:0]
		if r.exists && !r.now.gone {
			var err error
			if now, err = f.scopesOf(now, r.now, f.heading(r.now.assignment), atEnd); err != nil {
				return err
			}
			f.scopesNow = now
		}
		w.thread(r, now)
		if f.comparison == nil {
			r.now.told()
		} else if err := f.comparison.thread(r); err != nil {
			return err
		}
		f.note(unchanged(r))
		if err := f.noteLink(r, &links); err != nil {
			return err
		}
		return f.countThread(r, now)
	})
	if err != nil {
		return err
	}
	if err := errors.Join(links.flush(), f.tellGrades(w), f.countActives()); err != nil {
		return err
	}
	w.closedAll(f)
	for _, h := range f.held {
		for _, r := range h.rows {
			if !unchanged(r) {
				f.touched++ // so that it is stored; the section's row is counted by itself
			}
		}
	}
	noteAll(f, &f.people)
	noteAll(f, &f.courses)
	for _, l := range f.lookups {
		noteAll(f, l)
	}
	for _, m := range f.members {
		noteAll(f, m)
	}
	for _, a := range f.adminRows {
		noteAll(f, a)
	}
	return w.failed()
}

// note counts a touched row.
func (f *fold) note(unchanged bool) {
	f.touched++
	if unchanged {
		f.noops++
	}
}

func noteAll[T comparable](f *fold, o *overlay[T]) {
	for _, r := range o.rows {
		f.note(unchanged(r))
	}
}

// empty reports whether the transaction leaves everything as it was.
func (f *fold) empty() bool { return f.touched == f.noops }

// heading is the assignment's by the end of the transaction.
func (f *fold) heading(id cdc.ID) heading {
	if r, ok := f.assignments.index[id]; ok {
		return r.now.heading()
	}
	return f.p.assignments[id]
}

func (f *fold) headingAt(id cdc.ID, when at) heading {
	if when == atEnd {
		return f.heading(id)
	}
	return f.p.assignments[id]
}

// person answers who somebody is by the end of the transaction.
func (f *fold) person(id cdc.ID) cdc.Person {
	if r, ok := f.people.index[id]; ok {
		return r.now.Person
	}
	return f.p.people[id].Person
}
