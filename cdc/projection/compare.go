package projection

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/shadow"
)

// A comparison finds what happened while the log was not to be had: between the shadow
// as it was and a new snapshot of the database. The snapshot fills the next generation
// of the shadow; on the way every thread is held against what it was. The events go into
// the history, at the snapshot's position, where nobody looks yet. Then one batch makes
// the next generation true, and with it the events.
//
// What differs because the profile changed is told like anything else, with one
// exception: where a mark is made of other columns than before, or of columns that were
// altered, one mark for another is no news, while a first one is.
type comparison struct {
	was, now *Projection
	// comparable: a mark for submitted, and for graded, means the same in both.
	submitted, graded bool
	pieces            pieces // of the next generation
	order             uint64 // of the last news
}

// compare takes a snapshot in place of a filled shadow.
func (p *Projection) compare(ctx context.Context, snap *cdc.Snapshot) (uint64, error) {
	if last := p.cursor(); snap.At < last.LSN {
		return 0, fmt.Errorf("the snapshot's position %v lies before %v; this is a mistake in schoolbell: please report it", snap.At, last)
	}
	next := newProjection(p.shadow.next(), p.profile, nil, p.cfg)
	next.told = p.told
	if err := next.shadow.remove(); err != nil { // of a snapshot that broke off
		return 0, err
	}
	was, now := strings.Fields(p.checkpoint.Profile), strings.Fields(p.meaning())
	c := &comparison{
		was: p, now: next, pieces: pieces{p: next},
		submitted: len(was) == 3 && was[1] == now[1], graded: len(was) == 3 && was[2] == now[2],
	}
	if snap.Altered {
		c.submitted, c.graded = false, false
	}
	next.fold.comparison = c
	if err := next.fill(ctx, snap, func(b *batch) error { return b.Commit() }); err != nil {
		return 0, err
	}
	next.fold.comparison = nil
	w, err := c.tell(snap)
	if err != nil {
		return 0, fmt.Errorf("compare the snapshot with the shadow: %w", err)
	}
	return c.finish(snap, w)
}

// thread holds a thread of the snapshot against what it was, and notes the news for
// tell: what an event says of people and assignments is not known before all is read.
func (c *comparison) thread(r *touched[thread]) error {
	before, known, err := get(&c.was.fold, keyThread, r.key, readThread)
	if err != nil {
		return err
	}
	now := &r.now
	if now.gone && !known {
		now.told() // its marks are what they are, as in readThread
		return nil
	}
	if now.gone {
		if now.submitted = before.submitted; !c.now.profile.HasGradeTable() {
			now.graded, now.hidden = before.graded, before.hidden
		}
		now.told()
		return nil
	}
	told := true
	if isNews(before.submitted, now.submitted, c.submitted) {
		told, err = false, c.note(cdc.Submission, r.key, false)
	}
	switch {
	case err != nil:
	case c.now.profile.HasGradeTable():
		if told {
			now.told()
		}
	case isNews(before.graded, now.graded, c.graded):
		err = c.note(cdc.Grade, r.key, false)
	case c.now.cfg.Students && now.graded != 0 && before.hidden && !now.hidden:
		err = c.note(cdc.Grade, r.key, true)
	default:
		if now.score, now.auto = "", false; told {
			now.told()
		}
	}
	return err
}

// grade is thread for a row of the grades' table.
func (c *comparison) grade(r *touched[gradeRow]) error {
	before, _, err := get(&c.was.fold, keyGrade, r.key, readGradeRow)
	switch {
	case err != nil:
	case r.now.given() && isNews(before.Graded, r.now.Graded, c.graded):
		err = c.note(cdc.Grade, r.key, false)
	case c.now.cfg.Students && r.now.given() && before.Hidden && !r.now.Hidden:
		err = c.note(cdc.Grade, r.key, true)
	default:
		r.now.score = ""
	}
	return err
}

func isNews(was, now profile.Mark, comparable bool) bool {
	return now != 0 && was != now && (was == 0 || comparable)
}

// note keeps in the store that there is an event of this kind about a thread; posted: for
// the student alone, who may see now what others have seen.
func (c *comparison) note(kind cdc.Kind, id cdc.ID, posted bool) error {
	c.order++
	key := binary.BigEndian.AppendUint64([]byte{keyNews, byte(kind)}, c.order)
	c.pieces.batch().Set(key, append(id.AppendKey(nil), flag(posted, 1)))
	return c.pieces.mayFlush()
}

// tell writes the events: what was created, handed in, graded and closed, in this order.
func (c *comparison) tell(snap *cdc.Snapshot) (*eventWriter, error) {
	if err := c.pieces.flush(); err != nil {
		return nil, err
	}
	w := c.now.fold.begin(snap.At)
	w.recovered, w.ahead = true, &pieces{p: c.now}
	if err := c.created(w); err != nil {
		return nil, err
	}
	err := c.noted(cdc.Submission, func(id cdc.ID, t thread, scopes []scope) { w.submitted(id, t, scopes) })
	if err != nil {
		return nil, err
	}
	if err := c.gradesOf(w); err != nil {
		return nil, err
	}
	if err := c.closed(w); err != nil {
		return nil, err
	}
	if err := c.pieces.flush(); err != nil {
		return nil, err
	}
	return w, w.failed()
}

// gradesOf tells the grades.
func (c *comparison) gradesOf(w *eventWriter) error {
	if !c.now.profile.HasGradeTable() {
		return c.noted(cdc.Grade, func(id cdc.ID, t thread, scopes []scope) {
			w.graded(id, t, scopes)
			t.told()
			c.pieces.batch().Set(appendKey(nil, keyThread, id), appendThread(nil, t))
		})
	}
	return c.now.scan([]byte{keyNews, byte(cdc.Grade)}, func(_, value []byte) error {
		r := reader{b: value}
		id, posted := r.id(), r.byte() != 0
		if err := r.end(); err != nil {
			return err
		}
		g, _, err := get(&c.now.fold, keyGrade, id, readGradeRow)
		if err != nil {
			return err
		}
		if err := w.gradeOfRow(g, posted); err != nil {
			return err
		}
		g.score = "" // it has been told
		c.pieces.batch().Set(appendKey(nil, keyGrade, id), appendGrade(nil, g))
		return c.pieces.mayFlush()
	})
}

// noted calls f for the threads about which there is an event of this kind, with the
// scopes that it is for.
func (c *comparison) noted(kind cdc.Kind, f func(cdc.ID, thread, []scope)) error {
	return c.now.scan([]byte{keyNews, byte(kind)}, func(_, value []byte) error {
		r := reader{b: value}
		id, posted := r.id(), r.byte() != 0
		if err := r.end(); err != nil {
			return err
		}
		fold := &c.now.fold
		t, _, err := get(fold, keyThread, id, readThread)
		if err != nil {
			return err
		}
		scopes, err := fold.scopesOf(nil, t, fold.heading(t.assignment), atEnd)
		if err != nil {
			return err
		}
		if posted {
			scopes = onlyStudents(scopes)
		}
		f(id, t, scopes)
		return c.pieces.mayFlush()
	})
}

// created tells what was created, and keeps of every assignment what only the shadow
// knows: that it was created, and that it has closed by itself.
func (c *comparison) created(w *eventWriter) error {
	return c.now.scan([]byte{keyAssignment}, func(key, value []byte) error {
		id, _, err := cdc.CutKey(key)
		if err != nil {
			return err
		}
		now, err := readAssignment(value)
		if err != nil {
			return err
		}
		before, _, err := get(&c.was.fold, keyAssignment, id, readAssignment)
		if err != nil {
			return err
		}
		kept := now
		kept.created = now.created || before.created
		kept.expired = now.expired || before.expired && now.Closes.Equal(before.Closes)
		if kept.created && !before.created {
			reached, err := c.now.reached(id)
			if err != nil {
				return err
			}
			w.created(id, kept, reached)
		}
		if kept != now {
			c.pieces.batch().Set(appendKey(nil, keyAssignment, id), appendAssignment(nil, kept))
			c.now.enlist(id, kept.heading())
		}
		return c.pieces.mayFlush()
	})
}

// closed tells what has closed. It has to come after created.
func (c *comparison) closed(w *eventWriter) error {
	if err := c.pieces.flush(); err != nil {
		return err
	}
	return c.was.scan([]byte{keyAssignment}, func(key, value []byte) error {
		id, _, err := cdc.CutKey(key)
		if err != nil {
			return err
		}
		before, err := readAssignment(value)
		if err != nil || !before.open() {
			return err
		}
		now, exists, err := get(&c.now.fold, keyAssignment, id, readAssignment)
		if err != nil || exists && now.open() {
			return err
		}
		about, reach := now, c.now.reached
		if !exists {
			about = before
			reach = func(id cdc.ID) ([]scope, error) { return c.lastReached(id, before.heading()) }
		}
		reached, err := reach(id)
		if err != nil {
			return err
		}
		w.closed(id, about, reached)
		return nil
	})
}

// reached lists the scopes that see the assignment because of whom it is given to, as the
// shadow has it.
func (p *Projection) reached(id cdc.ID) (scopes []scope, err error) {
	err = p.scan(appendKey(nil, keyReach, id), func(key, _ []byte) error {
		s, err := readScope(key)
		scopes = append(scopes, s)
		return err
	})
	return scopes, err
}

// lastReached lists the scopes that saw an assignment, which is gone, because of whom it
// was given to: as everybody stands now.
func (c *comparison) lastReached(id cdc.ID, of heading) ([]scope, error) {
	scopes, err := c.now.reached(id)
	if err != nil {
		return nil, err
	}
	err = c.was.scan(appendKey(nil, keyAssignmentGiven, id), func(key, _ []byte) error {
		row, _, err := cdc.CutKey(key)
		if err != nil {
			return err
		}
		g, _, err := get(&c.was.fold, keyGiven, row, readGiven)
		if err == nil {
			scopes, err = c.now.fold.tutorsOf(scopes, g.student, of, atEnd)
		}
		return err
	})
	return scopes, err
}

// finish makes the next generation the shadow, and publishes what was told.
func (c *comparison) finish(snap *cdc.Snapshot, w *eventWriter) (uint64, error) {
	p, next := c.was, c.now
	at := shadow.Checkpoint{
		Profile: p.meaning(), Complete: true, Generation: next.shadow.flip, Begun: p.checkpoint.Begun,
	}
	at.Source, at.Applied = snap.Source, snap.At
	people := c.rights(w.before())
	batch := next.newBatch()
	batch.DeletePrefix([]byte{keyNews})
	for person, t := range next.admins {
		batch.Set(appendKey(nil, keyAdmin, person), t.append(nil))
	}
	if err := next.commit(batch, at, nil); err != nil {
		return 0, err
	}
	if err := p.store.Sync(); err != nil {
		return 0, err
	}
	before := p.shadow
	p.become(next)
	p.told = w.newest()
	p.count(w)
	if err := p.publishStored(Result{Cursor: p.cursor(), People: people}, w); err != nil {
		return 0, err
	}
	return uint64(w.last - w.first), before.remove()
}

// rights lists the people whose role or activity has changed, and notes who began or
// ceased to be an admin.
func (c *comparison) rights(at cdc.Position) []cdc.Person {
	var people []cdc.Person
	differs := func(id cdc.ID) {
		was, now := c.was.people[id].Person, c.now.people[id].Person
		if was.Role != now.Role || was.Active != now.Active {
			now.ID = id
			people = append(people, now)
		}
	}
	for id := range c.now.people {
		differs(id)
	}
	for id := range c.was.people {
		if _, ok := c.now.people[id]; !ok {
			differs(id)
		}
	}
	slices.SortFunc(people, func(a, b cdc.Person) int { return a.ID.Compare(b.ID) })
	for id, t := range c.was.admins {
		c.now.admins[id] = t
	}
	for _, now := range people {
		if was := c.was.people[now.ID].Person; isAdmin(was) != isAdmin(now) {
			c.now.admins[now.ID] = c.was.admins[now.ID].turn(isAdmin(was), at)
		}
	}
	return people
}

// become takes the place of the shadow, in memory.
func (p *Projection) become(next *Projection) {
	p.mu.Lock()
	p.people, p.emails, p.assignments, p.lookups = next.people, next.emails, next.assignments, next.lookups
	p.assignmentsOf, p.muted, p.staff, p.teams = next.assignmentsOf, next.muted, next.staff, next.teams
	p.standings, p.counts, p.admins = next.standings, next.counts, next.admins
	p.mu.Unlock()
	p.shadow, p.batch, p.bindings = next.shadow, next.batch, next.bindings
	p.checkpoint, p.dirty = next.checkpoint, false
	p.fold = fold{} // its lookups were those of the shadow before
	p.fold.init(p)
	p.unsure, p.stale, p.passing = true, "", moment{}
}
