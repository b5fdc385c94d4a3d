package router

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// History is where events are read again. Everything up to a batch's cursor must
// be in it before the batch is published.
type History interface {
	// EventsOf gives the events after one position, up to and including another, that
	// concerned somebody: as a person of the audience, or as an admin of that time. It
	// looks at no more than most events, stops when give answers false, and says up to
	// where it has looked.
	EventsOf(person cdc.ID, wasAdmin func(at cdc.Position) bool, after, upTo cdc.Position, most int,
		give func(*cdc.Event) (more bool)) (reached cdc.Position, err error)
	// First says where the first event after a position stands, whomever it concerned, and
	// when it happened; zero where there is none.
	First(after cdc.Position) (at cdc.Position, when time.Time, err error)
	// Back says after which position the last n events up to and with another one stand,
	// whomever they concerned; zero where there are no more than these.
	Back(upTo cdc.Position, n int) (after cdc.Position, err error)
	// Kept is the position after which no event has been removed.
	Kept() cdc.Position
	// Lost is the position before which events are missing although nothing removed
	// them for their age or number: this history begins there.
	Lost() cdc.Position
}

// Config tunes a Router; its zero value works.
type Config struct {
	// Queue is how many messages may wait for one subscriber (default 4096).
	Queue int
	// BulkLimit is how many events of one transaction are pushed to one person
	// before a gap of reason bulk stands for the rest (default 1000).
	BulkLimit int
	// Roles are those that may subscribe (default teacher, tutor and admin).
	Roles []cdc.Role
	// End is how far the server's log reaches as far as we know. A `since`
	// beyond it was never given by this server. nil: no such limit is known.
	End func() cdc.LSN
	// WasAdmin says whether somebody was an admin when the event at this position
	// happened, which must have been published or be older than the cursor: the
	// history does not name them. nil: whoever is an admin now always was.
	WasAdmin func(person cdc.ID, at cdc.Position) bool
	// Log receives what goes wrong while a client catches up.
	Log *slog.Logger
}

// Batch is what one or several transactions brought.
type Batch struct {
	Cursor cdc.Position // everything up to here has been applied
	People []cdc.Person // whose rights changed; takes effect before Events
	Events []*cdc.Event // in commit order
	Echoes [][]byte     // for those who Listen, once everybody has the events
	// More says that the last event's transaction goes on in the next batch: what of
	// it is not pushed one by one is told when it is over.
	More bool
}

// Router holds all subscriptions. See the package comment for who may call what.
type Router struct {
	history History
	cfg     Config

	// cursor is stored after everything up to it has been queued: who loads it
	// and then finds a queue empty has given everything up to it.
	cursor atomic.Pointer[cdc.Position]

	mu     sync.Mutex // guards what follows; taken before a Subscription's
	groups map[Group][]*Subscription
	echoes map[*Subscription]struct{} // of Listen
	open   int
	wakes  []wake          // of the batch under way
	bulk   []*Subscription // with a gap to be said at the end of the batch
	done   uint64          // transactions that are over: a batch without More ends one

	published, delivered, slow, revoked, replayed, resumed, reset atomic.Uint64
	gaps                                                          [3]atomic.Uint64
	highWater                                                     atomic.Int64
	replaying                                                     atomic.Int64
}

// A wake is a call to be made when no lock is held.
type wake struct {
	call  func(ended error)
	ended error
}

// New returns a router over h. It accepts subscriptions after Start.
func New(h History, cfg Config) *Router {
	if cfg.BulkLimit <= 0 {
		cfg.BulkLimit = 1000
	}
	if cfg.Queue <= 0 {
		cfg.Queue = 4096
	}
	// One transaction alone must never make a subscriber slow.
	cfg.Queue = max(cfg.Queue, cfg.BulkLimit+1)
	if len(cfg.Roles) == 0 {
		cfg.Roles = []cdc.Role{cdc.Teacher, cdc.Tutor, cdc.Admin}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Router{history: h, cfg: cfg, groups: make(map[Group][]*Subscription), echoes: make(map[*Subscription]struct{})}
}

// Start says how far the gateway had come: the history holds everything up to
// here that is kept.
func (r *Router) Start(cursor cdc.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(cursor)
}

// Advance says that nothing happened up to here.
func (r *Router) Advance(cursor cdc.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(cursor)
}

func (r *Router) advance(to cdc.Position) {
	if was := r.cursor.Load(); was == nil || to.After(*was) {
		at := to // or every call would allocate, also those that change nothing
		r.cursor.Store(&at)
	}
}

// Cursor is how far the gateway has come; zero before Start.
func (r *Router) Cursor() cdc.Position {
	if at := r.cursor.Load(); at != nil {
		return *at
	}
	return cdc.Position{}
}

// Publish applies the changed rights, then queues the events for everybody whom
// they concern and wakes them. It waits for nobody.
func (r *Router) Publish(b Batch) {
	r.mu.Lock()
	for _, p := range b.People {
		r.applyRights(p)
	}
	for _, e := range b.Events {
		r.queue(e)
	}
	if !b.More {
		for _, s := range r.bulk {
			s.mu.Lock()
			r.closeBulk(s)
			s.mu.Unlock()
		}
		clear(r.bulk)
		r.bulk = r.bulk[:0]
		r.done++
	}
	if n := len(b.Events); n > 0 {
		// A cursor short of the events would hide them from who joins now.
		r.advance(b.Events[n-1].Position)
		r.published.Add(uint64(n))
	}
	r.advance(b.Cursor)
	for _, text := range b.Echoes {
		r.echo(text)
	}
	// Only now, so that a subscriber finds the whole batch and writes it at once.
	r.unlockAndWake()
}

// unlockAndWake wakes whoever has something new. The caller holds r.mu, and no more.
func (r *Router) unlockAndWake() {
	wakes := r.wakes
	r.wakes = nil
	r.mu.Unlock()
	if len(wakes) == 0 {
		return
	}
	for _, w := range wakes {
		w.call(w.ended)
	}
	clear(wakes)
	r.mu.Lock()
	if r.wakes == nil {
		r.wakes = wakes[:0]
	}
	r.mu.Unlock()
}

// queue gives one event to its groups. The caller holds r.mu.
func (r *Router) queue(e *cdc.Event) {
	var m *Message
	give := func(members []*Subscription) {
		for _, s := range members {
			if m == nil {
				m = eventMessage(e)
			}
			r.push(s, e, m)
		}
	}
	for _, person := range e.Audience.People {
		give(r.groups[UserGroup(person)])
	}
	if e.Audience.Admins {
		give(r.groups[MetricsGroup()])
	}
}

// push queues an event's message for one subscription, unless it has had it or does not
// want it.
func (r *Router) push(s *Subscription, e *cdc.Event, m *Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || !s.live || !m.Position.After(s.last) || s.filter != nil && !s.filter.passes(e) {
		return
	}
	// Custom messages of one after the other may stand behind the same transaction.
	if m.Position.LSN != s.bulk.lsn || r.done != s.bulk.done {
		r.closeBulk(s)
		s.bulk = bulk{lsn: m.Position.LSN, done: r.done}
	}
	before := s.last
	s.last = m.Position
	if s.bulk.pushed == r.cfg.BulkLimit {
		if s.bulk.held == 0 {
			s.bulk.from = before
			r.bulk = append(r.bulk, s)
		}
		s.bulk.held++
		s.bulk.at = m.Time
		return
	}
	s.bulk.pushed++
	r.enqueue(s, m)
}

// closeBulk says what was held back of a transaction. The caller holds s.mu.
func (r *Router) closeBulk(s *Subscription) {
	if s.bulk.held == 0 || s.err != nil {
		return
	}
	r.enqueue(s, gapMessage(Bulk, s.bulk.from, s.last, s.bulk.held, s.bulk.at))
	r.countGap(Bulk)
	s.bulk.held = 0
}

func (r *Router) enqueue(s *Subscription, m *Message) {
	if s.queue.size >= r.cfg.Queue {
		r.end(s, ErrSlow)
		r.slow.Add(1)
		return
	}
	s.queue.push(m)
	r.delivered.Add(1)
	if n := int64(s.queue.size); n > r.highWater.Load() {
		r.highWater.Store(n)
	}
	if s.queue.size == 1 {
		r.wakes = append(r.wakes, wake{s.wake, nil})
	}
}

// end lets a subscription's owner find err. The caller holds r.mu and s.mu.
func (r *Router) end(s *Subscription, err error) {
	if s.err != nil {
		return
	}
	s.err = err
	s.queue = queue{}
	r.wakes = append(r.wakes, wake{s.wake, err})
}

func (r *Router) countGap(reason GapReason) {
	switch reason {
	case Retention:
		r.gaps[0].Add(1)
	case Bulk:
		r.gaps[1].Add(1)
	case HistoryLost:
		r.gaps[2].Add(1)
	}
}

// Stats is what the router has done since it was made.
type Stats struct {
	Subscriptions int               // open now
	Replaying     int               // of them, those that are catching up
	Published     uint64            // events
	Delivered     uint64            // messages queued for subscribers
	Replayed      uint64            // messages read from the history for subscribers
	Slow          uint64            // subscriptions ended with ErrSlow
	Revoked       uint64            // subscriptions ended because a right was taken
	Gaps          map[string]uint64 // told, by reason
	Resumed       uint64            // came back with an id, and got what they missed
	Reset         uint64            // came back with an id that does not reach
	QueueHigh     int               // the longest queue there has been
}

// Stats reads the counters; any goroutine may call it.
func (r *Router) Stats() Stats {
	r.mu.Lock()
	open := r.open
	r.mu.Unlock()
	return Stats{
		Subscriptions: open,
		Replaying:     int(r.replaying.Load()),
		Published:     r.published.Load(),
		Delivered:     r.delivered.Load(),
		Replayed:      r.replayed.Load(),
		Slow:          r.slow.Load(),
		Revoked:       r.revoked.Load(),
		Gaps: map[string]uint64{
			string(Retention): r.gaps[0].Load(), string(Bulk): r.gaps[1].Load(), string(HistoryLost): r.gaps[2].Load(),
		},
		Resumed:   r.resumed.Load(),
		Reset:     r.reset.Load(),
		QueueHigh: int(r.highWater.Load()),
	}
}
