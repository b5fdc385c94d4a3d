package projection

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// Assignments may close by themselves: a moment passes, and no row changes. The clock
// that says so is the log's, which the commits and the server's keepalives show. What
// has closed by then closes at once and stands behind the last transaction that was
// applied; the shadow remembers it, durably, before anybody is told, so that it has one
// id however often we start again.
//
// A transaction's own events depend on nothing but the log: a closing moment that the
// transaction itself sets into the past, as its commit has it, has passed with it.

// elapse lets the time pass up to the clock: what changes by itself does, each at its
// moment, and in between closes what closes.
func (p *Projection) elapse(clock time.Time) error {
	for {
		next, err := p.nextPassing()
		if err != nil {
			return err
		}
		passes := !next.IsZero() && !next.After(clock)
		until := clock
		if passes {
			until = next
		}
		if at := p.nextClosing(); !at.IsZero() && !at.After(until) {
			if err := p.flush(); err != nil {
				return err
			}
			if err := p.close(p.closingBy(until)); err != nil {
				return fmt.Errorf("close what %v closes: %w", until, err)
			}
			continue
		}
		if !passes {
			return nil
		}
		if err := p.pass(next); err != nil {
			return fmt.Errorf("let %v pass: %w", next, err)
		}
	}
}

// close closes assignments because their moment has come.
func (p *Projection) close(ids []cdc.ID) error {
	f := &p.fold
	f.reset()
	for _, id := range ids {
		r, err := f.assignments.touch(id)
		if err != nil {
			return err
		}
		r.now.expired = true
	}
	w := f.begin(p.cursor().LSN)
	w.byClock = true
	if err := f.settle(w); err != nil {
		return err
	}
	return p.keepByClock(w)
}

// nextClosing is when the next assignment closes by itself; zero: none does.
func (p *Projection) nextClosing() time.Time {
	if !p.unsure {
		return p.closing
	}
	p.closing, p.unsure = time.Time{}, false
	for _, a := range p.assignments {
		p.mayClose(a.closes)
	}
	return p.closing
}

// mayClose notes that an assignment closes at a moment.
func (p *Projection) mayClose(at time.Time) {
	if !at.IsZero() && (p.closing.IsZero() || at.Before(p.closing)) {
		p.closing = at
	}
}

// closingBy lists what closes up to a moment, in the order in which it does.
func (p *Projection) closingBy(clock time.Time) []cdc.ID {
	var ids []cdc.ID
	for id, a := range p.assignments {
		if !a.closes.IsZero() && !a.closes.After(clock) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b cdc.ID) int {
		return cmp.Or(p.assignments[a].closes.Compare(p.assignments[b].closes), a.Compare(b))
	})
	return ids
}

// enlist puts an assignment into its course.
func (p *Projection) enlist(id cdc.ID, h heading) {
	p.assignments[id] = h
	if h.course.IsZero() {
		return
	}
	if p.assignmentsOf[h.course] == nil {
		p.assignmentsOf[h.course] = map[cdc.ID]struct{}{}
	}
	p.assignmentsOf[h.course][id] = struct{}{}
}

// head makes an assignment's heading visible, or takes it away. The caller holds p.mu.
func (p *Projection) head(r *touched[assignment]) {
	was := p.assignments[r.key]
	delete(p.assignmentsOf[was.course], r.key)
	var now heading
	if r.exists {
		now = r.now.heading()
		p.enlist(r.key, now)
	} else {
		delete(p.assignments, r.key)
	}
	switch {
	case p.unsure || was.closes.Equal(now.closes):
	case was.closes.Equal(p.closing):
		p.unsure = true // it was the next one
	default:
		p.mayClose(now.closes)
	}
}
