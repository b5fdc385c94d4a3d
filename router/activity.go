package router

import (
	"context"
	"sort"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// Activity is how much of what concerns somebody happened when.
type Activity struct {
	// Counts are, by kind, how many there were in each step from the beginning on. What
	// somebody published is not counted.
	Counts map[cdc.Kind][]int
	// Recent stands before the newest events that were counted: whoever reads on from here
	// has them, and what came since.
	Recent cdc.Position
	// Cursor is how far was counted: what comes after it is not in Counts yet.
	Cursor cdc.Position
	// Complete is false where there were more than activityScan events to look at: the
	// newest of them were, the older ones are not in Counts.
	Complete bool
}

const (
	// activityScan bounds how many events are looked at for one answer.
	activityScan = 100 * passLength
	// recentEvents are how many come after Activity.Recent, at most.
	recentEvents = 60
	// disorder is how far times may contradict positions: what commits later may have
	// begun to commit before, and its clock be read first.
	disorder = time.Minute
)

// Activity counts what concerned somebody from a moment on, in so many steps, of what
// passes the filter. It reads what is kept of the history, in the caller's goroutine, and
// holds no lock; where to begin is searched for, so that what is older costs nothing.
func (r *Router) Activity(ctx context.Context, p cdc.Person, f *Filter, from time.Time, step time.Duration, steps int) (Activity, error) {
	if err := r.Admits(p); err != nil {
		return Activity{}, err
	}
	if r.cursor.Load() == nil {
		return Activity{}, ErrNotStarted
	}
	to := r.Cursor()
	at, err := r.since(from.Add(-disorder), to)
	if err != nil {
		return Activity{}, err
	}
	c := counting{router: r, person: p.ID, wasAdmin: r.wasAdmin(p.ID, p.Role == cdc.Admin), filter: f, from: from, step: step, steps: steps}
	a, err := c.between(ctx, at, to)
	if err != nil || a.Complete {
		return a, err
	}
	// There is more than may be looked at, and the newest counts most.
	if at, err = r.history.Back(to, activityScan); err != nil {
		return Activity{}, err
	}
	a, err = c.between(ctx, at, to)
	a.Complete = false
	return a, err
}

// counting is what one call of Activity asks for.
type counting struct {
	router   *Router
	person   cdc.ID
	wasAdmin func(cdc.Position) bool
	filter   *Filter
	from     time.Time
	step     time.Duration
	steps    int
}

// between counts what stands after one position, up to and with another. It gives up, and
// says that it is not complete, once it has looked at activityScan events.
func (c *counting) between(ctx context.Context, at, to cdc.Position) (Activity, error) {
	a := Activity{Counts: make(map[cdc.Kind][]int), Complete: true}
	for _, kind := range cdc.Kinds {
		if kind != cdc.Custom {
			a.Counts[kind] = make([]int, c.steps)
		}
	}
	var newest [recentEvents + 1]cdc.Position // a ring: the oldest of them is Recent
	n := 0
	for scanned := 0; to.After(at); scanned += passLength {
		if scanned >= activityScan {
			a.Complete = false
			break
		}
		if err := ctx.Err(); err != nil {
			return Activity{}, err
		}
		if n == 0 {
			newest[0] = at
		}
		reached, err := c.router.history.EventsOf(c.person, c.wasAdmin, at, to, passLength, func(e *cdc.Event) bool {
			if !c.filter.passes(e) {
				return true
			}
			n++
			newest[n%len(newest)] = e.Position
			if i := int(e.Time.Sub(c.from) / c.step); !e.Time.Before(c.from) && i < c.steps && a.Counts[e.Kind] != nil {
				a.Counts[e.Kind][i]++
			}
			return true
		})
		if err != nil {
			return Activity{}, err
		}
		at = reached
	}
	a.Cursor = at
	switch {
	case n >= len(newest):
		a.Recent = newest[(n+1)%len(newest)]
	case n == 0:
		a.Recent = at
	default:
		a.Recent = newest[0]
	}
	return a, nil
}

// since finds a position before everything that happened from a moment on, by halving.
func (r *Router) since(from time.Time, to cdc.Position) (cdc.Position, error) {
	kept := r.history.Kept()
	if !to.After(kept) {
		return to, nil
	}
	var failed error
	low := uint64(kept.LSN)
	n := int(min(uint64(to.LSN)-low, 1<<62)) // more than any log has grown by while events are kept
	i := sort.Search(n, func(i int) bool {
		if failed != nil {
			return true
		}
		at, when, err := r.history.First(cdc.Position{LSN: cdc.LSN(low + uint64(i))})
		failed = err
		return at == (cdc.Position{}) || !when.Before(from)
	})
	if failed != nil {
		return cdc.Position{}, failed
	}
	at := cdc.Position{LSN: cdc.LSN(low + uint64(i))}
	if kept.After(at) {
		at = kept
	}
	return at, nil
}

// wasAdmin answers whether somebody was an admin when something happened.
func (r *Router) wasAdmin(person cdc.ID, admin bool) func(cdc.Position) bool {
	return func(at cdc.Position) bool {
		if r.cfg.WasAdmin != nil {
			return r.cfg.WasAdmin(person, at)
		}
		return admin
	}
}
