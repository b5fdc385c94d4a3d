package router

import (
	"context"
	"fmt"

	"github.com/schoolbell/schoolbell/cdc"
)

// passLength bounds how many events one pass over the history looks at, so that
// a person with few events among many is still asked about their rights.
const passLength = 4096

// A pass is one reading of the history, at most passLength events long.
type pass struct {
	n       int          // messages found
	reached cdc.Position // everything up to here has been looked at
}

// read fills buf with what concerned somebody when it happened, after one
// position, up to another. Whether they are an admin now only counts where nobody
// remembers what they were. What the filter leaves out is passed over.
func (r *Router) read(person cdc.ID, admin bool, f *Filter, after, upTo cdc.Position, buf []*Message) (pass, error) {
	n := 0
	reached, err := r.history.EventsOf(person, r.wasAdmin(person, admin), after, upTo, passLength, func(e *cdc.Event) bool {
		if f.passes(e) {
			buf[n] = eventMessage(e)
			n++
		}
		return n < len(buf)
	})
	if err != nil {
		return pass{}, fmt.Errorf("read the history after %v: %w", reached, err)
	}
	return pass{n, reached}, nil
}

// catchUp reads the next part of the history. When it has reached the cursor as
// it was before, what is left is small: the subscription goes live, and the last
// rest is read while new events already queue.
func (s *Subscription) catchUp(buf []*Message) (Taken, error) {
	r := s.router
	s.mu.Lock()
	from, to, admin, live, filter := s.scanned, s.joinedAt, s.admin, s.live, s.filter
	s.mu.Unlock()
	if !live {
		to = r.Cursor()
	}
	p, err := r.read(s.person, admin, filter, from, to, buf)
	if err != nil {
		return Taken{}, s.breakOff(from, err)
	}
	kept := r.history.Kept()

	s.mu.Lock()
	if s.err != nil {
		defer s.mu.Unlock()
		return Taken{}, s.err
	}
	if kept.After(from) {
		// Some of it was removed while we read.
		if kept.After(to) {
			kept = to
		}
		buf[0] = r.missing(from, kept)
		p = pass{n: 1, reached: kept}
	} else {
		r.replayed.Add(uint64(p.n))
	}
	s.scanned = p.reached
	s.given = p.reached
	taken := Taken{N: p.n, Cursor: s.given, More: true}
	done := p.reached == to
	if done && live && s.live { // no other filter has come meanwhile
		s.stopCatching()
	}
	s.mu.Unlock()
	if done && !live {
		s.join()
	}
	return taken, nil
}

// join makes the subscription live at the cursor. What lies between the part
// that was read and the cursor is still to be read, before the queue.
func (s *Subscription) join() {
	r := s.router
	r.mu.Lock()
	defer r.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || len(s.changes) > 0 {
		return
	}
	s.live = true
	s.joinedAt = r.Cursor()
	s.last = s.joinedAt
	if s.scanned == s.joinedAt {
		s.stopCatching()
	}
}

// breakOff ends a subscription whose history could not be read. A store that fails to
// read, or has failed to write, is about to be opened again or replaced: the one after it
// knows what is kept, and whether anything is lost. We do not.
func (s *Subscription) breakOff(from cdc.Position, cause error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.router.cfg.Log.Error("a client could not catch up", "user", s.person, "pos", from, "err", cause)
	s.err = fmt.Errorf("%w: %w", ErrUnreadable, cause)
	s.queue = queue{}
	s.stopCatching()
	return s.err
}

// Page is a part of somebody's history.
type Page struct {
	Messages []*Message
	Cursor   cdc.Position // ask for what is after it next
	More     bool
	Gap      *Message // what lies before it and is not kept; nil: nothing is missing
}

// pageScan bounds how many events a page looks at, whatever it finds.
const pageScan = 25 * passLength

// Page reads at most limit of somebody's events after a position; nil is the
// oldest that is kept. Of those it gives what passes the filter. It reads in the caller's
// goroutine and holds no lock.
func (r *Router) Page(ctx context.Context, p cdc.Person, f *Filter, since *cdc.Position, limit int) (Page, error) {
	if err := r.Admits(p); err != nil {
		return Page{}, err
	}
	if r.cursor.Load() == nil {
		return Page{}, ErrNotStarted
	}
	page := Page{}
	if since != nil {
		page.Cursor = *since
	}
	to := r.Cursor()
	if r.unknown(page.Cursor, to) {
		return Page{Cursor: to, Gap: r.gap(HistoryLost, page.Cursor, to)}, nil
	}
	buf := make([]*Message, limit)
	n := 0
	gone := cdc.Position{} // what is not kept ends here; it can only stand before a page
	for range pageScan / passLength {
		if kept := r.history.Kept(); kept.After(page.Cursor) && n == 0 {
			gone, page.Cursor = kept, kept
		}
		if !to.After(page.Cursor) || n == limit {
			break
		}
		if err := ctx.Err(); err != nil {
			return Page{}, err
		}
		part, err := r.read(p.ID, p.Role == cdc.Admin, f, page.Cursor, to, buf[n:])
		if err != nil {
			return Page{}, err
		}
		if r.history.Kept().After(page.Cursor) { // some of it was removed meanwhile
			if n > 0 {
				break // the next page will say so
			}
			continue
		}
		page.Cursor = part.reached
		n += part.n
	}
	if since != nil && gone.After(*since) {
		page.Gap = r.missing(*since, gone)
	}
	page.Messages = buf[:n]
	page.More = to.After(page.Cursor)
	return page, nil
}
