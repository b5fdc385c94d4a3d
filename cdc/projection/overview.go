package projection

import (
	"context"
	"slices"

	"github.com/schoolbell/schoolbell/cdc"
)

// The four counts say how much there is in all; the overview says it assignment by
// assignment. Nobody asks for it all the time, so nothing of it is kept: it is counted when
// somebody asks, one assignment a turn, so that the log waits for none longer than for a
// write to the disk.

// Assignments lists the assignments that a person sees, the newest first, those whose keys
// lie before one (none: from the newest on), at most so many.
func (p *Projection) Assignments(ctx context.Context, person cdc.Person, before cdc.ID, most int) ([]cdc.AssignmentView, error) {
	ids, err := p.visible(ctx, person, before, most)
	if err != nil {
		return nil, err
	}
	views := make([]cdc.AssignmentView, 0, len(ids))
	for _, id := range ids {
		view, ok, err := p.view(ctx, person, id)
		if err != nil {
			return nil, err
		}
		if ok { // it may have been deleted meanwhile
			views = append(views, view)
		}
	}
	return views, nil
}

// Assignment is one of Assignments. It answers false for one that the person does not see.
func (p *Projection) Assignment(ctx context.Context, person cdc.Person, id cdc.ID) (cdc.AssignmentView, bool, error) {
	if err := p.turn.take(ctx); err != nil {
		return cdc.AssignmentView{}, false, err
	}
	sees, err := p.sees(person, id)
	p.turn.end()
	if err != nil || !sees {
		return cdc.AssignmentView{}, false, err
	}
	return p.view(ctx, person, id)
}

// lookAtOnce is how many assignments are looked at in one turn.
const lookAtOnce = 200

// visible lists the keys of what a person sees.
func (p *Projection) visible(ctx context.Context, person cdc.Person, before cdc.ID, most int) (seen []cdc.ID, err error) {
	p.mu.RLock()
	ids := make([]cdc.ID, 0, len(p.assignments))
	for id, of := range p.assignments {
		if !of.gone && (before.IsZero() || id.Compare(before) < 0) {
			ids = append(ids, id)
		}
	}
	p.mu.RUnlock()
	slices.SortFunc(ids, func(a, b cdc.ID) int { return b.Compare(a) })
	for part := range slices.Chunk(ids, lookAtOnce) {
		if err := p.turn.take(ctx); err != nil {
			return nil, err
		}
		for _, id := range part {
			sees, err := p.sees(person, id)
			if err != nil {
				p.turn.end()
				return nil, err
			}
			if sees && len(seen) < most {
				seen = append(seen, id)
			}
		}
		p.turn.end()
		if len(seen) == most {
			break
		}
	}
	return seen, nil
}

// sees reports whether a person counts an assignment as theirs. It needs the turn.
func (p *Projection) sees(person cdc.Person, id cdc.ID) (bool, error) {
	of, ok := p.assignments[id]
	if !ok || of.gone || person.Role == cdc.NoRole || !person.Active {
		return false, nil
	}
	p.fold.reset()
	s := p.scopeOf(person.Role, person.ID)
	if slices.Contains(p.fold.direct(nil, of, atEnd), s) {
		return true, nil
	}
	if p.fold.isReached(s) && of.shows(s) {
		n, err := p.number(s.append(appendKey(nil, keyReach, id)))
		return n > 0, err
	}
	if s.kind != scopeStudent || !of.published || !p.cfg.Students || p.profile.HasAssigned() {
		return false, nil
	}
	seat, err := p.fold.stored(seat{of.course, person.ID})
	return len(seat) > 0, err
}

// view counts one assignment. It answers false when there is none.
func (p *Projection) view(ctx context.Context, person cdc.Person, id cdc.ID) (cdc.AssignmentView, bool, error) {
	if err := p.turn.take(ctx); err != nil {
		return cdc.AssignmentView{}, false, err
	}
	defer p.turn.end()
	f := &p.fold
	f.reset()
	a, ok, err := get(f, keyAssignment, id, readAssignment)
	if err != nil || !ok {
		return cdc.AssignmentView{}, false, err
	}
	view := cdc.AssignmentView{
		ID: id, Course: a.Course, Title: a.Title, Due: a.Due, Closes: a.Closes, Open: a.open(),
	}
	s := p.scopeOf(person.Role, person.ID)
	err = p.scan(appendKey(nil, keyAssignThread, id), func(key, _ []byte) error {
		row, _, err := cdc.CutKey(key)
		if err != nil {
			return err
		}
		t, ok, err := f.threads.load(row)
		if err != nil || !ok || t.gone {
			return err
		}
		scopes, err := f.scopesOf(f.scopesNow[:0], t, a.heading(), atEnd)
		f.scopesNow = scopes
		if err == nil && slices.Contains(scopes, s) {
			count(&view, t, s)
		}
		return err
	})
	return view, true, err
}

func count(view *cdc.AssignmentView, t thread, s scope) {
	switch {
	case t.submitted == 0:
		view.Pending++
	case t.graded == 0 || t.hidden && s.kind == scopeStudent:
		view.Ungraded++
	default:
		view.Graded++
	}
}
