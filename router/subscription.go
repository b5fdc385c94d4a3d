package router

import (
	"cmp"
	"sync"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// Subscription is one subscriber's place in the router: a queue, and while it
// catches up a place in the history.
type Subscription struct {
	router  *Router
	person  cdc.ID
	wake    func(ended error)
	start   cdc.Position
	resumed bool

	at [places]int // where it stands in its groups; guarded by router.mu

	mu       sync.Mutex // guards what follows; held for moments only
	err      error      // why it has ended
	admin    bool
	live     bool         // events are queued
	catching bool         // the history has more to give, before the queue
	filter   *Filter      // what it lets through is queued, and read; nil: everything
	last     cdc.Position // only what comes after it is queued
	queue    queue
	bulk     bulk
	gap      *Message // what is said before anything else

	scanned  cdc.Position // the history has been read up to here
	joinedAt cdc.Position // and must be read up to here, once live
	given    cdc.Position // the newest that Take has handed out
	changes  []*Filter    // to be taken up before more is read
}

// bulk counts the events of the transaction under way.
type bulk struct {
	lsn    cdc.LSN
	done   uint64 // Router.done, when it began
	pushed int
	held   int          // not pushed, and not said yet
	from   cdc.Position // the last that was pushed
	at     time.Time
}

// Request asks for a subscription.
type Request struct {
	Person cdc.Person
	// Since is the last position that the subscriber has; nil when it begins anew.
	Since *cdc.Position
	// Filter is what the subscriber wants; nil: everything.
	Filter *Filter
	// Wake is called with nil when there is something to take after there was
	// nothing, and with the reason when the subscription has ended. It may be
	// called before Subscribe returns, and must not block.
	Wake func(ended error)
}

// Subscribe joins the person's groups and, with Since, catches up first.
//
// Rights that changed before Subscribe are not seen by it: ask for the person
// once more afterwards, and begin again if the answer differs.
func (r *Router) Subscribe(req Request) (*Subscription, error) {
	if err := r.Admits(req.Person); err != nil {
		return nil, err
	}
	s := &Subscription{
		router: r,
		person: req.Person.ID,
		wake:   req.Wake,
		admin:  req.Person.Role == cdc.Admin,
		filter: req.Filter,
		at:     [places]int{nowhere, nowhere},
	}
	// The history may take a lock of its own, so it is not asked under ours.
	kept := r.history.Kept()
	var gap *Message
	if req.Since != nil && kept.After(*req.Since) {
		gap = r.missing(*req.Since, kept)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	cursor := r.cursor.Load()
	if cursor == nil {
		return nil, ErrNotStarted
	}
	s.start, s.given = *cursor, *cursor
	s.live, s.last = true, *cursor
	if req.Since != nil {
		s.gap = gap
		s.resume(*req.Since, kept)
		if s.resumed {
			r.resumed.Add(1)
		} else {
			r.reset.Add(1)
		}
	}
	r.open++
	r.enter(UserGroup(s.person), s, userPlace)
	if s.admin {
		r.enter(MetricsGroup(), s, metricsPlace)
	}
	return s, nil
}

// resume decides how a subscriber that has everything up to since goes on. Where some
// of it is not kept, a gap stands for that, and what is kept follows.
func (s *Subscription) resume(since, kept cdc.Position) {
	r := s.router
	switch {
	case r.unknown(since, s.start):
		s.gap = r.gap(HistoryLost, since, s.start)
		return
	case kept.After(since):
		since = kept
	case since.After(s.start):
		// We went down after it was given and before it was durable: the log
		// brings it once more, under the same id.
		s.resumed = true
		s.last, s.given = since, since
		return
	default:
		s.resumed = true
	}
	if s.start.After(since) {
		s.live, s.catching = false, true
		s.scanned, s.given = since, since
		r.replaying.Add(1)
	}
}

// unknown reports whether a position was never given by this server, or only before
// it was set back.
func (r *Router) unknown(since, cursor cdc.Position) bool {
	return r.cfg.End != nil && since.After(cursor) && since.LSN > r.cfg.End()
}

// Start is the router's cursor when the subscription began.
func (s *Subscription) Start() cdc.Position { return s.start }

// Resumed reports whether everything after Since will be given.
func (s *Subscription) Resumed() bool { return s.resumed }

// Taken says what Take has done.
type Taken struct {
	N int // messages in the buffer
	// Cursor: everything of this subscriber's up to here has been taken.
	Cursor cdc.Position
	More   bool // there is more to take: Wake will not be called for it
	Live   bool // the messages came as they happened, not from the history
}

// Take moves what waits into buf, in order, or returns why the subscription has
// ended. While the subscription catches up it reads the history.
func (s *Subscription) Take(buf []*Message) (Taken, error) {
	s.mu.Lock()
	if s.err == nil && s.catching && (len(buf) == 0 || s.gap == nil && len(s.changes) == 0) {
		s.mu.Unlock()
		return s.catchUp(buf)
	}
	defer s.mu.Unlock() // once: of several, each would have to be remembered at run time
	switch {
	case s.err != nil:
		return Taken{}, s.err
	case s.gap != nil && len(buf) > 0:
		buf[0], s.gap = s.gap, nil
		return Taken{N: 1, Cursor: s.given, More: true}, nil
	case s.catching:
		return s.change(buf), nil
	}
	cursor := s.router.Cursor() // before the queue is looked at
	n := s.queue.take(buf)
	if n > 0 {
		s.given = later(s.given, buf[n-1].Position)
	}
	if s.queue.size == 0 && s.bulk.held == 0 { // what is held has yet to be told
		s.given = later(s.given, cursor)
	}
	return Taken{N: n, Cursor: s.given, More: s.queue.size > 0, Live: true}, nil
}

// Close leaves the groups. Calling it again does nothing.
func (s *Subscription) Close() {
	r := s.router
	r.mu.Lock()
	defer r.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := r.echoes[s]; ok {
		delete(r.echoes, s)
		s.err, s.queue = cmp.Or(s.err, ErrClosed), queue{}
		return
	}
	if s.at[userPlace] == nowhere {
		return
	}
	r.open--
	r.leave(UserGroup(s.person), s, userPlace)
	r.leave(MetricsGroup(), s, metricsPlace)
	if s.err == nil {
		s.err = ErrClosed
	}
	s.queue, s.changes = queue{}, nil
	s.stopCatching()
}

func (s *Subscription) stopCatching() {
	if s.catching {
		s.catching = false
		s.router.replaying.Add(-1)
	}
}

func later(a, b cdc.Position) cdc.Position {
	if b.After(a) {
		return b
	}
	return a
}
